//! One connection: requests are read one after the other, and answered in order.

use std::time::Instant;

use super::answer::{Answer, Form, Next};
use super::dispatch::{Caller, answer, crowded};
use super::guests::Guest;
use super::input::{End, Input};
use super::service::Service;
use crate::time::Timestamp;

/// Answers up to here always have room in memory.
const SMALL: usize = 64 << 10;

/// Serves a client until one of the two has enough.
pub(super) fn serve(guest: &Guest, caller: Caller, service: &Service) {
    let mut input = Input::new(guest, service.limits);
    while guest.rest() {
        match exchange(guest, caller, service, &mut input) {
            Some(Next::Request) => {}
            Some(Next::Close) => {
                guest.stream.part();
                return;
            }
            None => return,
        }
    }
}

/// Reads a request and answers it. None if the client is gone.
fn exchange(guest: &Guest, caller: Caller, service: &Service, input: &mut Input<'_>) -> Option<Next> {
    let head = match input.head() {
        Ok(head) => head,
        Err(End::Gone) => return None,
        Err(End::Refused(answer)) => {
            log::debug!("http: no request, {} for {}", answer.status, caller.peer);
            return say(guest, service, answer, Form::Whole, Next::Close);
        }
    };
    guest.work();
    let since = Instant::now();
    let answer = match answer(&head, caller, &guest.stream, service, input) {
        Ok(answer) | Err(End::Refused(answer)) => answer,
        Err(End::Gone) => return None,
    };
    let form = if head.method == "HEAD" { Form::HeadAlone } else { Form::Whole };
    // What is left of a body that nobody wanted must not be taken for a request.
    let goes_on = head.persists && input.is_between() && !service.guests.is_closing();
    let status = answer.status;
    let next = say(guest, service, answer, form, if goes_on { Next::Request } else { Next::Close });
    let (method, path, peer) = (&head.method, &head.path, caller.peer);
    log::debug!("http: {method} {path} {status} in {} ms for {peer}", since.elapsed().as_millis());
    next
}

fn say(guest: &Guest, service: &Service, answer: Answer, form: Form, next: Next) -> Option<Next> {
    // What is new is on disk by now, and to be told so: without ids of its own it would be handed in twice.
    let (is_new, large) = (answer.status == 201, answer.len().saturating_sub(SMALL));
    let (room, answer) = match service.answers.take(large) {
        None if !is_new => (None, crowded()),
        room => (room, answer),
    };
    service.app.metrics.answered(answer.status);
    let bytes = answer.encode(Timestamp::now(), form, next);
    drop(answer);
    guest.tell();
    let deadline = Instant::now() + service.limits.answer;
    let told = guest.stream.write(&bytes, deadline);
    drop(room);
    told.ok().map(|()| next)
}
