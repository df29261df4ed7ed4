//! Which operation a request is for. openapi.yaml lists the same.

use super::answer::{Answer, JSON};
use super::query::decode;

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Submit,
    List,
    Show,
    Cancel,
    Acknowledge,
    Transfers,
    Transfer,
    Limit,
    SetLimit,
    OpenApi,
    Metrics,
    Health,
}

/// Every operation, by its path and method. `{id}` stands for one part of a path.
pub(super) const ROUTES: [(&str, &str, Operation); 12] = [
    ("/v1/requests", "POST", Operation::Submit),
    ("/v1/requests", "GET", Operation::List),
    ("/v1/requests/{id}", "GET", Operation::Show),
    ("/v1/requests/{id}", "DELETE", Operation::Cancel),
    ("/v1/requests/{id}/ack", "POST", Operation::Acknowledge),
    ("/v1/transfers", "GET", Operation::Transfers),
    ("/v1/transfers/{id}", "GET", Operation::Transfer),
    ("/v1/limit", "GET", Operation::Limit),
    ("/v1/limit", "PUT", Operation::SetLimit),
    (OPENAPI, "GET", Operation::OpenApi),
    ("/metrics", "GET", Operation::Metrics),
    (HEALTH, "GET", Operation::Health),
];

pub(super) const OPENAPI: &str = "/v1/openapi.yaml";
/// Asked by what watches over processes, which has no token.
pub(super) const HEALTH: &str = "/healthz";

impl Operation {
    /// What it answers with, where it has anything to say and is not refused.
    pub(super) fn media(self) -> &'static str {
        match self {
            Self::OpenApi => "application/yaml",
            Self::Metrics => "text/plain; version=0.0.4; charset=utf-8",
            _ => JSON,
        }
    }
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    To(Operation, Place),
    /// It only asks which methods there are.
    Methods(String),
}

/// The variable part of a path. Empty where there is none.
pub(super) type Place = String;

/// Finds the operation for a method and a path that is percent-encoded.
pub(super) fn find(method: &str, path: &str) -> Result<Route, Answer> {
    let there: Vec<_> = ROUTES
        .iter()
        .filter_map(|&(template, method, operation)| Some((method, operation, capture(template, path)?)))
        .collect();
    if there.is_empty() {
        return Err(Answer::problem(404, format!("there is nothing here; see {OPENAPI} for what there is")));
    }
    // What answers HEAD is what answers GET, without the body.
    let wanted = if method == "HEAD" { "GET" } else { method };
    if let Some((_, operation, place)) = there.iter().find(|(method, ..)| *method == wanted) {
        return Ok(Route::To(*operation, decode(place)?));
    }
    let methods = allow(there.iter().map(|(method, ..)| *method));
    if method == "OPTIONS" {
        return Ok(Route::Methods(methods));
    }
    Err(Answer::problem(405, format!("this takes {methods}")).with("Allow", methods))
}

fn allow<'a>(methods: impl Iterator<Item = &'a str>) -> String {
    let mut allowed: Vec<&str> = methods.collect();
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    allowed.push("OPTIONS");
    allowed.join(", ")
}

/// What stands in the path where the template has its variable. None if the path is another one.
fn capture<'a>(template: &str, path: &'a str) -> Option<&'a str> {
    let Some((before, behind)) = template.split_once("{id}") else {
        return (template == path).then_some("");
    };
    let place = path.strip_prefix(before)?.strip_suffix(behind)?;
    (!place.is_empty() && !place.contains('/')).then_some(place)
}

/// Whether the client takes what the operation answers with.
pub(super) fn is_acceptable(accept: Option<&str>, media: &str) -> bool {
    let Some(accept) = accept.filter(|accept| !accept.is_empty()) else { return true };
    let kind = media.split(';').next().unwrap_or(media);
    let family = kind.split('/').next().unwrap_or(kind);
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let wanted = parts.next().unwrap_or_default();
        let is_refused = parts.any(|part| {
            let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            weight.is_some_and(|weight| weight.parse() == Ok(0.0_f32))
        });
        let fits = wanted == "*/*"
            || wanted.eq_ignore_ascii_case(kind)
            || wanted.strip_suffix("/*").is_some_and(|wanted| wanted.eq_ignore_ascii_case(family));
        fits && !is_refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_found() {
        for (template, method, operation) in ROUTES {
            let has_place = template.contains("{id}");
            let path = template.replace("{id}", "a%3Ab~");
            let place = if has_place { "a:b~" } else { "" };
            assert_eq!(find(method, &path), Ok(Route::To(operation, place.into())), "{method} {path}");
        }
        assert_eq!(find("HEAD", "/metrics"), Ok(Route::To(Operation::Metrics, String::new())));
    }

    #[test]
    fn what_is_not_there() {
        let status = |method: &str, path: &str| find(method, path).map_err(|answer| answer.status);
        for path in [
            "/",
            "//v1/requests",
            "/v1/requests/",
            "/v1/requests/a/",
            "/v1/requests//ack",
            "/v1/transfers/a/b",
        ] {
            assert_eq!(status("GET", path), Err(404), "{path}");
        }
        assert_eq!(status("GET", "/v1/requests/%zz"), Err(400));
        assert_eq!(status("get", "/metrics"), Err(405));
    }

    #[test]
    fn methods_are_told() {
        let refused = find("PUT", "/v1/requests/7").unwrap_err();
        let wanted = Answer::problem(405, "this takes GET, DELETE, HEAD, OPTIONS");
        assert_eq!(refused, wanted.with("Allow", "GET, DELETE, HEAD, OPTIONS"));
        assert_eq!(find("OPTIONS", "/v1/requests/7/ack"), Ok(Route::Methods("POST, OPTIONS".into())));
    }

    #[test]
    fn what_the_client_takes() {
        let takes = |accept: &str| is_acceptable(Some(accept), "text/plain; version=0.0.4");
        assert!(is_acceptable(None, JSON));
        for accept in ["", "*/*", "Text/Plain", "text/*", "a/b, text/plain;version=1;q=0.3", "a/b,*/*;q=0.1"]
        {
            assert!(takes(accept), "{accept}");
        }
        for accept in ["text/html", "application/*", "text/plain;q=0", "*/*; Q=0.000", ",", "text"] {
            assert!(!takes(accept), "{accept}");
        }
    }
}
