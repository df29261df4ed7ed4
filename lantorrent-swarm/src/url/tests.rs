use super::*;

fn url(text: &str) -> Url {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn what_is_sent_of_what_people_write() {
    for (text, sent) in [
        ("http://a/My Images/tool 1.0.img", "http://a/My%20Images/tool%201.0.img"),
        ("http://a/größe/日本.img?q=ä b", "http://a/gr%C3%B6%C3%9Fe/%E6%97%A5%E6%9C%AC.img?q=%C3%A4%20b"),
        ("http://a/g++/a%20b%C3%a4%2F?key=a+b/c==", "http://a/g++/a%20b%C3%a4%2F?key=a+b/c=="),
        ("http://a/100%/%zz%4", "http://a/100%/%zz%4"),
        (" \n HTTP://A.example:80/x \r\n", "http://A.example:80/x"),
        ("https://a?x=http://b/c#d", "https://a?x=http://b/c"),
        ("http://a/{x}|\"<y>\"\\z^`", "http://a/%7Bx%7D%7C%22%3Cy%3E%22%5Cz%5E%60"),
        ("http://a/[1] (2) 'x' & ~;,@:$!*", "http://a/[1]%20(2)%20'x'%20&%20~;,@:$!*"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ("http://a:/x", "http://a/x"),
        ("udp://10.0.0.1:6969/announce", "udp://10.0.0.1:6969/announce"),
        ("http://xn--trcker-cua.example/", "http://xn--trcker-cua.example/"),
    ] {
        assert_eq!(url(text).to_string(), sent, "{text}");
        assert_eq!(url(sent).to_string(), sent, "once more");
    }
}

#[test]
fn places() {
    let cases = [
        ("http://tracker.site/announce", Scheme::Http, ("tracker.site", 80), "/announce"),
        ("HTTPS://u:p@[fe80::1]/a?b=c#d", Scheme::Https, ("fe80::1", 443), "/a?b=c"),
        ("http://10.0.0.1:6969?x", Scheme::Http, ("10.0.0.1", 6969), "?x"),
        ("udp://10.0.0.1:6969", Scheme::Udp, ("10.0.0.1", 6969), ""),
        ("udp://[::1]:1/announce?k=v", Scheme::Udp, ("::1", 1), "/announce?k=v"),
    ];
    for (text, scheme, endpoint, target) in cases {
        let url = url(text);
        assert_eq!((url.scheme(), url.endpoint(), url.target()), (scheme, endpoint, target), "{text}");
    }
}

#[test]
fn what_is_no_url() {
    use UrlError::{Control, Host, International, Port, Scheme, TooLong};
    let cases = [
        ("", Scheme),
        ("tracker", Scheme),
        ("wss://tracker/announce", Scheme),
        ("ftp://a/b", Scheme),
        ("http:/a/b", Scheme),
        ("magnet:?xt=urn:btih:1", Scheme),
        ("http://", Host),
        ("http:///announce", Host),
        ("http://:80/", Host),
        ("http://[::1]x/", Host),
        ("http://[1.2.3.4]/", Host),
        ("http://a b/", Host),
        ("http://a\\b/", Host),
        ("http://tracker:0/", Port),
        ("http://tracker:65536/", Port),
        ("http://tracker:+80/", Port),
        ("http://::1/", Port),
        ("udp://tracker/announce", Port),
        ("http://tracker/\r\nHost: other", Control),
        ("http://träcker/", International),
    ];
    for (text, error) in cases {
        assert_eq!(text.parse::<Url>().err(), Some(error), "{text}");
    }
    assert_eq!(format!("http://{}", "a".repeat(LONGEST)).parse::<Url>(), Err(TooLong));
}

#[test]
fn credentials_are_decoded_and_never_shown() {
    for (text, user, password, place) in [
        ("http://user:p%40ss@host/x", "user", "p@ss", "http://host/x"),
        ("http://user:p@ss:word@host:8/", "user", "p@ss:word", "http://host:8/"),
        ("http://a+b:c+d%3A@host", "a+b", "c+d:", "http://host"),
        ("https://token@host", "token", "", "https://host"),
    ] {
        let url = url(text);
        let expected = (user.as_bytes().to_vec(), password.as_bytes().to_vec());
        assert_eq!(url.credentials(), Some(expected), "{text}");
        assert_eq!((url.to_string(), format!("{url:?}")), (place.into(), place.into()));
    }
    assert_eq!(url("http://@host/").credentials(), None);
    for (text, seen) in [
        ("http://user:p@ss@host/x@y", "http://host/x@y"),
        ("ftp://user:pass@host", "ftp://host"),
        ("user:pass@host", "host"),
        ("http://user:pa/ss?w#rd@host/", "http://host/"),
        ("nothing\n", "nothing"),
        ("http://user:pa ss@ho st/ü", "http://ho st/ü"),
    ] {
        assert_eq!(shown(text), seen);
    }
}

#[test]
fn references_from_there() {
    let base = url("http://u:p@a:80/b/c/d?q=1");
    for (reference, whole) in [
        ("plain?x", "http://a:80/b/c/plain?x"),
        ("/x", "http://a:80/x"),
        ("//host/x", "http://host/x"),
        ("?x", "http://a:80/b/c/d?x"),
        ("#x", "http://a:80/b/c/d?q=1"),
        ("../x/./y/..", "http://a:80/b/x/"),
        ("/../../x", "http://a:80/x"),
        ("a file ü", "http://a:80/b/c/a%20file%20%C3%BC"),
        (" /a b ", "http://a:80/a%20b"),
        ("https://other/a b", "https://other/a%20b"),
        ("x?u=http://y", "http://a:80/b/c/x?u=http://y"),
    ] {
        assert_eq!(base.join(reference).unwrap().to_string(), whole, "{reference}");
    }
    for (reference, error) in [
        ("magnet:?xt=urn:btih:1", UrlError::Scheme),
        ("ftp://a/b", UrlError::Scheme),
        ("http:x", UrlError::Scheme),
        ("/a\r\nb", UrlError::Control),
    ] {
        assert_eq!(base.join(reference), Err(error), "{reference}");
    }
    assert_eq!(url("http://a").join("b").unwrap().to_string(), "http://a/b");
    let credentials = |reference: &str| base.join(reference).unwrap().credentials().is_some();
    assert!(credentials("x") && credentials("/x") && credentials("http://A/x") && credentials("//a/x"));
    for other in ["http://b/x", "http://a:81/x", "https://a/x", "//b/x"] {
        assert!(!credentials(other), "{other}");
    }
    assert!(credentials("http://v:w@b/"), "its own");
}

#[test]
fn bytes_that_are_no_text() {
    assert_eq!(text_of(b"http://a/\xe4\xff b\xc3\xa4"), "http://a/%E4%FF bä");
}
