//! What a child is sent: words, the payload from the ring or a file, and frames in between.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::super::TELL;
use super::super::disk::Then;
use super::super::hub::Hub;
use super::super::orders::{ChildOrder, Work};
use super::super::ring::{Item, Next};
use super::super::shelf::{Shelf, ShelfReader};
use super::child::{Child, Haste};
use super::frames::{Meaning, Outgoing};
use super::intake::Told;
use super::mailbox::{Mailbox, Message, News};
use super::workers::Workers;
use crate::session::{Control, FeedInput, LinkId};
use crate::wire::{Frame, PayloadWriter};

#[derive(Debug)]
pub(super) struct Feed {
    pub(super) session: u64,
    pub(super) hub: Arc<Hub>,
    pub(super) shelves: Arc<ShelfReader>,
    pub(super) writer: PayloadWriter,
    pub(super) mailbox: Arc<Mailbox>,
    /// Blocks that workers are reading. They have the file open for that long.
    pub(super) reads: usize,
}

impl Feed {
    /// Sends a child what it is to have next. Returns how many bytes of the file that were; None if nothing can be sent now.
    pub(super) fn step(
        &mut self,
        link: LinkId,
        child: &mut Child,
        workers: &Workers,
        told: &mut Told,
    ) -> Option<u64> {
        if child.wants_more() {
            let work = self.hub.try_child_work(link)?;
            match self.frame(link, child, work, workers, told) {
                Ok(Some(frame)) => child.begin(frame),
                Ok(None) => return None,
                Err(error) => child.give_up(&error),
            }
        }
        let haste = if self.hub.child_is_urgent(link) { Haste::Urgent } else { Haste::Normal };
        let Some(meaning) = child.write(haste) else {
            if child.is_held_back() && child.excused.elapsed() >= TELL {
                child.excused = Instant::now();
                told.push_back(FeedInput::HeldBack(link).into());
            }
            return None;
        };
        Some(self.written(link, child, meaning, told))
    }

    /// The frame that work is done by, if it is.
    fn frame(
        &mut self,
        link: LinkId,
        child: &mut Child,
        work: Work<ChildOrder>,
        workers: &Workers,
        told: &mut Told,
    ) -> io::Result<Option<Outgoing>> {
        Ok(match work {
            Work::Order(ChildOrder::Send(bytes)) => Some(Outgoing::words(bytes)),
            Work::Order(ChildOrder::Control(control)) => {
                let offset = self.hub.child_position(link).unwrap_or(0);
                let frame = match control {
                    Control::Idle => Frame::Idle { offset },
                    Control::Abort(abort) => Frame::Abort(abort),
                    Control::Bye => Frame::Bye,
                };
                Some(Outgoing::frame(&self.writer, &frame, Meaning::Control(offset))?)
            }
            Work::Order(ChildOrder::Finish) => {
                child.finish()?;
                None
            }
            Work::Payload(Next::End { size, sum }) => {
                Some(Outgoing::frame(&self.writer, &Frame::End { size, sum }, Meaning::End)?)
            }
            Work::Payload(Next::Item(item)) => Some(Outgoing::item(&self.writer, item)?),
            Work::Payload(Next::File { shelf, offset, len }) => {
                child.awaits_file = true;
                self.read(link, shelf, offset, len, workers);
                None
            }
            Work::Payload(Next::Gone) => {
                log::info!("cannot serve link {}: its data is neither in memory nor in a file", link.0);
                self.strand(link, told);
                None
            }
            Work::Payload(Next::Wait) | Work::Over => None,
        })
    }

    /// Has a worker read at most a block.
    fn read(&mut self, link: LinkId, shelf: Shelf, offset: u64, len: u64, workers: &Workers) {
        let (session, mailbox) = (self.session, Arc::clone(&self.mailbox));
        let shelves = Arc::clone(&self.shelves);
        let mut shelf = Some(shelf);
        self.reads += 1;
        workers.put(Box::new(move || {
            if let Some(shelf) = shelf.take() {
                let item = shelves.item(&shelf, offset, len);
                // Who hears of it may count on the file not being held here.
                drop(shelf);
                let item = item.map_err(|why| format!("at offset {offset}, {why}"));
                mailbox.send(Message::News(session, News::ReadBack(link, item)));
            }
            Then::Over
        }));
    }

    /// A worker has read what was to be read for a child, which may be gone.
    pub(super) fn take(
        &mut self,
        link: LinkId,
        child: Option<&mut Child>,
        item: Result<Item, String>,
        told: &mut Told,
    ) {
        self.reads -= 1;
        let Some(child) = child else { return };
        child.awaits_file = false;
        match item.map(|item| Outgoing::item(&self.writer, item)) {
            Ok(Ok(frame)) => child.begin(frame),
            Ok(Err(error)) => child.give_up(&error),
            Err(why) => {
                log::warn!("cannot serve link {}: {why}", link.0);
                self.strand(link, told);
            }
        }
    }

    fn strand(&self, link: LinkId, told: &mut Told) {
        self.hub.strand(link);
        told.push_back(FeedInput::Unservable(link).into());
    }

    /// A frame is out. Returns how many bytes of the file it had.
    fn written(&self, link: LinkId, child: &mut Child, meaning: Meaning, told: &mut Told) -> u64 {
        match meaning {
            Meaning::Words => 0,
            Meaning::Control(offset) => {
                told.push_back(FeedInput::Sent(link, offset).into());
                0
            }
            Meaning::End => {
                told.push_back(FeedInput::SentEnd(link).into());
                0
            }
            Meaning::Payload(upto) => {
                let before = self.hub.child_position(link).unwrap_or(upto);
                self.hub.child_has(link, upto);
                if child.told.elapsed() >= TELL {
                    child.told = Instant::now();
                    told.push_back(FeedInput::Sent(link, upto).into());
                }
                upto.saturating_sub(before)
            }
        }
    }
}
