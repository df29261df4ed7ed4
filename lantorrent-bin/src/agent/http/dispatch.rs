//! From the head of a request to its answer: every check that needs no body comes before the body is read.

use super::answer::{Answer, JSON};
use super::guard::{self, Access};
use super::head::Head;
use super::input::{End, Input};
use super::operations;
use super::query::Query;
use super::route::{self, Operation, Route};
use super::service::Service;
use super::stream::{Peer, Stream};

/// Bytes of a body with nothing but a number in it.
const LIMIT_BYTES: usize = 1024;

/// Who asks, and by which way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    pub(super) peer: Peer,
    pub(super) access: Access,
}

pub(super) fn answer(
    head: &Head,
    caller: Caller,
    stream: &Stream,
    service: &Service,
    input: &mut Input<'_>,
) -> Result<Answer, End> {
    guard::admit(head, caller.access, service.token().as_deref())
        .inspect_err(|refused| service.warn_of(refused.status, caller.peer, head))?;
    let (operation, place) = match route::find(&head.method, &head.path)? {
        Route::To(operation, place) => (operation, place),
        Route::Methods(methods) => return Ok(Answer::empty(204).with("Allow", methods)),
    };
    if !route::is_acceptable(head.accept.as_deref(), operation.media()) {
        let detail = format!("what is here comes as {} alone", operation.media());
        return Err(Answer::problem(406, detail).into());
    }
    let query = Query::parse(&head.query)?;
    if !matches!(operation, Operation::List | Operation::Show) {
        query.finish()?;
    }
    let answer = match operation {
        Operation::Submit => {
            let length = body_length(head, service.limits.body_bytes)?;
            let _room = service.bodies.take(length).ok_or_else(crowded)?;
            operations::submit(service, &input.body(head)?, caller.peer)
        }
        Operation::List => operations::list(service, query),
        Operation::Show => operations::show(service, &place, query, stream),
        Operation::Cancel => operations::cancel(service, &place),
        Operation::Acknowledge => operations::acknowledge(service, &place),
        Operation::Transfers => Ok(operations::transfers(service)),
        Operation::Transfer => operations::transfer(service, &place),
        Operation::Limit => Ok(operations::limit(service)),
        Operation::SetLimit => {
            body_length(head, LIMIT_BYTES)?;
            operations::set_limit(service, &input.body(head)?, caller.peer)
        }
        Operation::OpenApi => Ok(Answer::text(operation.media(), operations::OPENAPI)),
        Operation::Metrics => Ok(Answer::text(operation.media(), operations::metrics(service))),
        Operation::Health => operations::health(service),
    };
    Ok(answer?)
}

/// How long the body is that an operation takes.
fn body_length(head: &Head, most: usize) -> Result<usize, Answer> {
    let kind = head.content_type.as_deref().unwrap_or_default().split(';').next().unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case(JSON) {
        return Err(Answer::problem(415, format!("this takes `Content-Type: {JSON}`")).with("Accept", JSON));
    }
    let Some(length) = head.length else {
        return Err(Answer::problem(411, "this takes a body, and Content-Length that says how long it is"));
    };
    let length = usize::try_from(length).ok().filter(|&length| length <= most);
    length.ok_or_else(|| {
        let detail = format!("the body is longer than {most} bytes; long lists can be posted in parts");
        Answer::problem(413, detail)
    })
}

pub(super) fn crowded() -> Answer {
    let detail = "others ask for more than the agent has memory for; try again in a moment";
    Answer::problem(503, detail).with("Retry-After", "1")
}
