//! Sizes, times and rates as people read and write them.

use std::time::Duration;

use lantorrent_core::Limit;

/// Reads a size in bytes: `4096`, `64K`, `256M`, `1G`, `1T`, in powers of 1024.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let lower = text.to_ascii_lowercase();
    let binary = lower.strip_suffix("ib").filter(|number| number.ends_with(['k', 'm', 'g', 't']));
    let number = binary.or_else(|| lower.strip_suffix('b')).unwrap_or(&lower);
    let (digits, shift) = match number.as_bytes().last() {
        Some(b'k') => (&number[..number.len() - 1], 10),
        Some(b'm') => (&number[..number.len() - 1], 20),
        Some(b'g') => (&number[..number.len() - 1], 30),
        Some(b't') => (&number[..number.len() - 1], 40),
        _ => (number, 0),
    };
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .parse::<u64>()
        .ok()
        .filter(|_| whole)
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| "not a size such as 4096, 64K, 256M or 1G".to_owned())
}

/// Reads a limit in bytes a second, 0 for none: `50M` in powers of 1024 as [`parse`] has them, `800Mbit` in powers of
/// 1000 as networks have them, or `none`. `/s` may stand behind it. `50Mb` is refused: to networks that is bits.
pub(crate) fn limit(text: &str) -> Result<u64, String> {
    const WRONG: &str = "not a rate such as 500K or 50M in bytes a second, 800Mbit, or none";
    let bare = text.strip_suffix("/s").unwrap_or(text);
    if bare.len() > 1 && bare.ends_with('b') && !bare.ends_with("ib") {
        return Err(format!("{WRONG}: a small b may be bits or bytes"));
    }
    let lower = text.to_ascii_lowercase();
    let rate = lower.strip_suffix("/s").unwrap_or(&lower);
    let rate = match rate.strip_suffix("bit") {
        _ if rate == "none" => Ok(0),
        Some(number) => bits(number).map(|bits| bits / 8).ok_or_else(|| WRONG.to_owned()),
        None => parse(rate).map_err(|_| WRONG.to_owned()),
    }?;
    if rate == 0 || rate >= Limit::LEAST {
        return Ok(rate);
    }
    Err(format!("a limit is at least {} bytes a second", Limit::LEAST))
}

fn bits(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'k' => (&text[..text.len() - 1], 1000),
        b'm' => (&text[..text.len() - 1], 1_000_000),
        b'g' => (&text[..text.len() - 1], 1_000_000_000),
        _ => (text, 1),
    };
    let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| whole)?.checked_mul(unit)
}

/// Bytes in the decimal units that line rates are given in.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "kB", "MB", "GB", "TB"];
    #[allow(clippy::cast_precision_loss)] // A figure of four digits is shown.
    let mut value = bytes as f64;
    let mut unit = 0;
    // 999.95 and up would be shown as 1000.0.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} bytes") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// A time span in seconds.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// Bytes over time in MB/s; a time too short to be measured gives no figure.
pub(crate) fn rate(bytes: u64, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1e-6 {
        return "- MB/s".into();
    }
    #[allow(clippy::cast_precision_loss)] // A figure of four digits is shown.
    let megabytes = bytes as f64 / 1e6;
    format!("{:.1} MB/s", megabytes / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse("0"), Ok(0));
        assert_eq!(parse("4096"), Ok(4096));
        assert_eq!(parse("64K"), Ok(64 << 10));
        assert_eq!(parse("256m"), Ok(256 << 20));
        assert_eq!(parse("1GiB"), Ok(1 << 30));
        for bad in [
            "",
            "M",
            "-1",
            "+1",
            "1.5G",
            "1X",
            "99999999999G",
            "0x10",
            "1 G",
            "1,5G",
            "1bb",
            "1ib",
            "1KiiB",
            "1e9",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_are_read() {
        for (text, rate) in [
            ("50M", 50 << 20),
            ("1K/s", 1024),
            ("1048576", 1 << 20),
            ("800Mbit", 100_000_000),
            ("1gbit/s", 125_000_000),
            ("64kbit", 8000),
            ("none", 0),
            ("0", 0),
        ] {
            assert_eq!(limit(text), Ok(rate), "{text}");
        }
        for bad in [
            "",
            "bit",
            "Mbit",
            "-1",
            "1.5M",
            "fast",
            "/s",
            "1000",
            "8000bit",
            "1Mbits",
            "99999999999Gbit",
            "+8kbit",
            "50Mb",
            "50mb/s",
            "50MBB",
            "50Mibb",
            "1,5G",
            "18446744073709551616",
            "9999999999999999T",
        ] {
            assert!(limit(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn figures_are_written() {
        assert_eq!(bytes(999), "999 bytes");
        assert_eq!(bytes(1000), "1.0 kB");
        assert_eq!(bytes(999_999), "1.0 MB");
        assert_eq!(bytes(268_435_456), "268.4 MB");
        assert_eq!(rate(5_000_000, Duration::from_millis(500)), "10.0 MB/s");
        assert_eq!(rate(5, Duration::ZERO), "- MB/s");
    }
}
