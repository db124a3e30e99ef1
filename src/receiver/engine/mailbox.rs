//! What the driver of a connection leaves for those who wait for it.

use std::collections::{HashMap, VecDeque};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::fault::Cause;
use super::happening::{Delivery, Happening, LinkId, SessionId};
use super::requests::RequestId;

/// What has happened on a connection and has not been fetched yet.
#[derive(Debug, Default)]
pub(super) struct Mailboxes {
    pub is_opened: bool,
    begun: Vec<SessionId>,
    ended: HashMap<SessionId, Cause>,
    answers: HashMap<RequestId, Bytes>,
    /// By session and by handle.
    links: Vec<Vec<Mailbox>>,
    /// Why all of it is over.
    pub over: Option<Cause>,
    /// Those who wait for anything but a delivery.
    waiting: Vec<Waker>,
}

/// What has happened on one link.
#[derive(Debug, Default)]
struct Mailbox {
    is_attached: bool,
    is_drained: bool,
    deliveries: VecDeque<Delivery>,
    waiting: Option<Waker>,
    over: Option<Cause>,
}

impl Mailboxes {
    /// Puts in what has happened; gives the bytes of it that wait for a reader.
    pub(super) fn put(&mut self, happening: Happening) -> usize {
        match happening {
            Happening::Delivered(delivery) => {
                let size = delivery.size();
                let mailbox = self.link(delivery.link);
                mailbox.deliveries.push_back(delivery);
                if let Some(waker) = mailbox.waiting.take() {
                    waker.wake();
                }
                return size;
            }
            Happening::Opened => self.is_opened = true,
            Happening::Begun(session) => self.begun.push(session),
            Happening::Attached(link) => self.link(link).is_attached = true,
            Happening::Drained(link) => self.link(link).is_drained = true,
            Happening::Answered(request, message) => {
                self.answers.insert(request, message);
            }
            Happening::Detached(link, cause) => self.link(link).end(&cause),
            Happening::Ended(session, cause) => self.end_session(session, cause),
            Happening::Closed(cause) => self.close(cause),
        }
        self.wake();
        0
    }

    fn end_session(&mut self, session: SessionId, cause: Cause) {
        let links = self.links.get_mut(session.index()).into_iter().flatten();
        links.for_each(|mailbox| mailbox.end(&cause));
        self.ended.insert(session, cause);
    }

    fn close(&mut self, cause: Cause) {
        let links = self.links.iter_mut().flatten();
        links.for_each(|mailbox| mailbox.end(&cause));
        self.over.get_or_insert(cause);
    }

    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }

    fn link(&mut self, link: LinkId) -> &mut Mailbox {
        let session = link.session.index();
        if self.links.len() <= session {
            self.links.resize_with(session + 1, Vec::new);
        }
        let links = &mut self.links[session];
        if links.len() <= link.index() {
            links.resize_with(link.index() + 1, Mailbox::default);
        }
        &mut links[link.index()]
    }

    /// Makes a mailbox that had another link before fit for a new one; gives the bytes that nobody has fetched.
    pub(super) fn renew(&mut self, link: LinkId) -> usize {
        std::mem::take(self.link(link)).unread()
    }

    /// The same for all links of a session.
    pub(super) fn renew_session(&mut self, session: SessionId) -> usize {
        let links = self.links.get_mut(session.index()).map(std::mem::take);
        links.iter().flatten().map(Mailbox::unread).sum()
    }

    /// Whether a session was begun, or why not.
    pub(super) fn begun(&mut self, session: SessionId) -> Option<Result<(), Cause>> {
        if let Some(at) = self.begun.iter().position(|begun| *begun == session) {
            self.begun.swap_remove(at);
            return Some(Ok(()));
        }
        self.ended.remove(&session).map(Err)
    }

    /// Whether a link was attached, or why not.
    pub(super) fn attached(&mut self, link: LinkId) -> Option<Result<(), Cause>> {
        let mailbox = self.link(link);
        if let Some(cause) = &mailbox.over {
            return Some(Err(cause.clone()));
        }
        mailbox.is_attached.then_some(Ok(()))
    }

    /// Whether all of these links were attached, or why one of them was not.
    pub(super) fn attached_all(&mut self, links: [LinkId; 2]) -> Option<Result<(), Cause>> {
        let [one, other] = links.map(|link| self.attached(link));
        match (one, other) {
            (Some(Err(cause)), _) | (_, Some(Err(cause))) => Some(Err(cause)),
            (Some(Ok(())), Some(Ok(()))) => Some(Ok(())),
            _ => None,
        }
    }

    /// Whether a link was drained, or why not.
    pub(super) fn drained(&mut self, link: LinkId) -> Option<Result<(), Cause>> {
        let mailbox = self.link(link);
        if std::mem::take(&mut mailbox.is_drained) {
            return Some(Ok(()));
        }
        mailbox.over.clone().map(Err)
    }

    /// The answer to a request, or why there will be none: one of its `links` is over.
    pub(super) fn answer(
        &mut self,
        request: RequestId,
        links: [LinkId; 2],
    ) -> Option<Result<Bytes, Cause>> {
        if let Some(answer) = self.answers.remove(&request) {
            return Some(Ok(answer));
        }
        links
            .into_iter()
            .find_map(|link| self.link(link).over.clone().map(Err))
    }

    /// Nobody waits for the answer any more.
    pub(super) fn forget(&mut self, request: RequestId) {
        self.answers.remove(&request);
    }

    /// How many messages have come on a link and were not fetched.
    pub(super) fn unfetched(&mut self, link: LinkId) -> usize {
        self.link(link).deliveries.len()
    }

    /// Exchanges what has come on a link for an empty queue.
    pub(super) fn poll_deliveries(
        &mut self,
        cx: &Context<'_>,
        link: LinkId,
        deliveries: &mut VecDeque<Delivery>,
    ) -> Poll<Result<(), Cause>> {
        let mailbox = self.link(link);
        if !mailbox.deliveries.is_empty() {
            std::mem::swap(&mut mailbox.deliveries, deliveries);
            return Poll::Ready(Ok(()));
        }
        if let Some(cause) = &mailbox.over {
            return Poll::Ready(Err(cause.clone()));
        }
        mailbox.waiting = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Wakes whoever this is when something other than a delivery has happened.
    pub(super) fn wait(&mut self, cx: &Context<'_>) {
        if !self.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.waiting.push(cx.waker().clone());
        }
    }
}

impl Mailbox {
    /// Bytes of messages that nobody has fetched.
    fn unread(&self) -> usize {
        self.deliveries.iter().map(Delivery::size).sum()
    }

    fn end(&mut self, cause: &Cause) {
        self.over.get_or_insert_with(|| cause.clone());
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }
}
