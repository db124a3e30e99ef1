//! How a connection is opened: protocol headers, and what each side takes.
//!
//! Source: AMQP 1.0, sections 2.2 (version negotiation), 2.4.1 (opening a connection), 2.7.1 (open).

use std::time::Duration;

use fe2o3_amqp::types::performatives::{ChannelMax, MaxFrameSize, Open};

use super::{
    Advance, CHANNEL_MAX, IDLE_TIME_OUT, LEAST_FRAME_SIZE, MAX_FRAME_SIZE, Machine, Phase,
    SHORTEST_HEARTBEAT,
};
use crate::receiver::engine::fault::Cause;
use crate::receiver::engine::frame;
use crate::receiver::engine::happening::Happening;

impl Machine {
    /// Takes the peer's protocol header, and answers it.
    pub(super) fn take_header(&mut self) -> Result<Advance, Cause> {
        let Some(header) = frame::take_header(&mut self.incoming) else {
            return Ok(Advance::Starved);
        };
        match (self.phase, header) {
            (Phase::SaslHeader, frame::SASL_HEADER) => self.phase = Phase::Mechanisms,
            (Phase::Header, frame::HEADER) => {
                let open = self.open();
                frame::put(&mut self.outgoing, 0, &open, MAX_FRAME_SIZE).map_err(Cause::Fault)?;
                self.phase = Phase::Opening;
            }
            _ => return Err(Cause::NotAmqp),
        }
        Ok(Advance::Quietly)
    }

    fn open(&self) -> Open {
        Open {
            container_id: self.options.container_id.clone(),
            hostname: Some(self.options.hostname.clone()),
            max_frame_size: MaxFrameSize(MAX_FRAME_SIZE),
            channel_max: ChannelMax(CHANNEL_MAX),
            idle_time_out: Some(IDLE_TIME_OUT.as_millis() as u32),
            outgoing_locales: None,
            incoming_locales: None,
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        }
    }

    /// The peer has opened the connection.
    pub(super) fn opened(&mut self, open: &Open) -> Advance {
        self.max_frame_size = open.max_frame_size.0.max(LEAST_FRAME_SIZE);
        self.channel_max = open.channel_max.0;
        // Half of what the peer puts up with: what is sent may be late.
        self.heartbeat = open
            .idle_time_out
            .filter(|millis| *millis > 0)
            .map(|millis| (Duration::from_millis(millis.into()) / 2).max(SHORTEST_HEARTBEAT));
        self.phase = Phase::Open;
        Advance::To(Happening::Opened)
    }
}
