//! When a server wants to be asked again (RFC 9110, 10.2.3).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ureq::http::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// After which time to ask again: in seconds, or by a date, which counts from the server's own.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let after = text(RETRY_AFTER)?;
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = text(DATE)
        .and_then(seconds_of)
        .or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|now| now.as_secs()))?;
    Some(Duration::from_secs(seconds_of(after)?.saturating_sub(now)))
}

/// Seconds since 1970 of a date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn seconds_of(date: &str) -> Option<u64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut parts = date.split_once(", ")?.1.split(' ');
    let day: u64 = parts.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let name = parts.next().filter(|name| name.len() == 3)?;
    let month = MONTHS.find(name).filter(|at| at % 3 == 0)? as u64 / 3 + 1;
    let year: u64 = parts.next()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
    let mut time = parts.next()?.split(':').map(|part| part.parse::<u64>().ok().filter(|part| *part <= 60));
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    // The year begins in March, so that its last month is the one that varies.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates() {
        assert_eq!(seconds_of("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(seconds_of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds_of("Thu, 29 Feb 2024 23:59:60 GMT"), Some(1_709_251_200));
        for bad in
            ["", "soon", "Sun, 06 Nov", "Sun, 06 ovD 1994 08:49:37 GMT", "Sun, 6x Nov 1994 08:49:37 GMT"]
        {
            assert_eq!(seconds_of(bad), None, "{bad}");
        }
        let after = |values: &[(HeaderName, &str)]| {
            let pairs = values.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
            retry_after(&pairs.collect())
        };
        assert_eq!(after(&[(RETRY_AFTER, " 120 ")]), Some(Duration::from_secs(120)));
        let date = (DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(
            after(&[(RETRY_AFTER, "Sun, 06 Nov 1994 08:51:37 GMT"), date.clone()]),
            Some(Duration::from_secs(120))
        );
        assert_eq!(
            after(&[(RETRY_AFTER, "Sun, 06 Nov 1994 08:00:00 GMT"), date.clone()]),
            Some(Duration::ZERO)
        );
        assert_eq!(after(&[(RETRY_AFTER, "Sun, 06 Nov 1994 08:00:00 GMT")]), Some(Duration::ZERO));
        assert!(
            after(&[(RETRY_AFTER, "Fri, 31 Dec 9999 23:59:59 GMT")])
                .is_some_and(|after| after.as_secs() > 1 << 32)
        );
        assert_eq!(after(&[(RETRY_AFTER, "later"), date]), None);
        assert_eq!(after(&[]), None);
    }
}
