//! Sizes, times and rates as people read and write them.

use std::time::Duration;

/// Reads a size in bytes: `4096`, `64K`, `256M`, `1G`, `1T`, in powers of 1024.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let lower = text.to_ascii_lowercase();
    let number = lower.trim_end_matches('b').trim_end_matches('i');
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
        for bad in ["", "M", "-1", "+1", "1.5G", "1X", "99999999999G", "0x10", "1 G"] {
            assert!(parse(bad).is_err(), "{bad}");
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
