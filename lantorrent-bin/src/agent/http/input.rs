//! What a client sends: heads and bodies, each by its deadline.

use std::io::{self, ErrorKind};
use std::time::Instant;

use super::Limits;
use super::answer::Answer;
use super::guests::Guest;
use super::head::{self, Head};

/// Why there is no request, or not the whole of it.
#[derive(Debug)]
pub(super) enum End {
    /// The client is gone, or may go without a word.
    Gone,
    /// What came cannot be made sense of, or is not taken.
    Refused(Answer),
}

impl From<Answer> for End {
    fn from(answer: Answer) -> Self {
        Self::Refused(answer)
    }
}

pub(super) struct Input<'a> {
    guest: &'a Guest,
    limits: Limits,
    /// What has come and belongs to the next request.
    unread: Vec<u8>,
    /// Bytes of the present request's body that nobody has asked for.
    owed: u64,
}

impl<'a> Input<'a> {
    pub(super) fn new(guest: &'a Guest, limits: Limits) -> Self {
        Self { guest, limits, unread: Vec::new(), owed: 0 }
    }

    /// Whether what comes next is another request.
    pub(super) fn is_between(&self) -> bool {
        self.owed == 0
    }

    /// The head of the next request. The body of the one before has been read.
    pub(super) fn head(&mut self) -> Result<Head, End> {
        let patience = Instant::now() + self.limits.idle;
        let mut deadline = None;
        loop {
            if !self.unread.is_empty() {
                if deadline.is_none() && !self.guest.begin() {
                    return Err(End::Gone);
                }
                deadline.get_or_insert_with(|| Instant::now() + self.limits.head);
                if let Some((head, used)) = head::parse(&self.unread)? {
                    self.unread.drain(..used);
                    self.owed = head.length.unwrap_or(0);
                    return Ok(head);
                }
            }
            let mut bytes = [0; 4096];
            match self.guest.stream.read(&mut bytes, deadline.unwrap_or(patience)) {
                Ok(0) | Err(_) if deadline.is_none() => return Err(End::Gone),
                Ok(0) => return Err(Answer::problem(400, "the request ends within its head").into()),
                Ok(count) => self.unread.extend_from_slice(&bytes[..count]),
                Err(error) => return Err(late(&error, "head")),
            }
        }
    }

    /// The body of the request with this head. Its length has been looked at.
    pub(super) fn body(&mut self, head: &Head) -> Result<Vec<u8>, End> {
        let deadline = Instant::now() + self.limits.body;
        // What does not fit has been refused.
        let length = usize::try_from(self.owed).map_err(|_| End::Gone)?;
        let rest = self.unread.split_off(length.min(self.unread.len()));
        let mut body = std::mem::replace(&mut self.unread, rest);
        if head.expects_continue && body.len() < length {
            let proceed = b"HTTP/1.1 100 Continue\r\n\r\n";
            self.guest.stream.write(proceed, deadline).map_err(|_| End::Gone)?;
        }
        let mut bytes = [0; 16 << 10];
        while body.len() < length {
            let wanted = bytes.len().min(length - body.len());
            match self.guest.stream.read(&mut bytes[..wanted], deadline) {
                Ok(0) => return Err(Answer::problem(400, "the request ends within its body").into()),
                Ok(count) => body.extend_from_slice(&bytes[..count]),
                Err(error) => return Err(late(&error, "body")),
            }
        }
        self.owed = 0;
        Ok(body)
    }
}

fn late(error: &io::Error, part: &str) -> End {
    if error.kind() == ErrorKind::TimedOut {
        Answer::problem(408, format!("the {part} of the request took too long to come")).into()
    } else {
        End::Gone
    }
}
