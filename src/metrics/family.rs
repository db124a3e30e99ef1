//! Families of metrics, written sample by sample.

use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, GaugeValueEncoder, MetricEncoder,
    NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use time::OffsetDateTime;

/// What a family is called and what it means. The name lacks the prefix, the unit and `_total`.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) unit: Option<Unit>,
    pub(super) help: &'static str,
}

/// The value of a gauge.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    /// A number of things.
    Whole(i64),
    /// A measure.
    Real(f64),
}

impl Value {
    /// Whether something is so: 1 or 0.
    pub(super) fn fact(is_so: bool) -> Self {
        Self::Whole(i64::from(is_so))
    }

    /// So many; more than fit are as good as those.
    pub(super) fn count(count: impl TryInto<i64>) -> Self {
        Self::Whole(count.try_into().unwrap_or(i64::MAX))
    }

    /// A moment, in seconds since 1970.
    pub(super) fn time(time: OffsetDateTime) -> Self {
        // Milliseconds are what the service and the eye can tell apart, and a float has room for them.
        let milliseconds = time.unix_timestamp() * 1000 + i64::from(time.millisecond());
        Self::Real(milliseconds as f64 / 1000.0)
    }
}

impl EncodeGaugeValue for Value {
    fn encode(&self, encoder: &mut GaugeValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => number.encode(encoder),
            Self::Real(number) => number.encode(encoder),
        }
    }
}

impl Family {
    /// A family without a unit.
    pub(super) const fn of(name: &'static str, help: &'static str) -> Self {
        let unit = None;
        Self { name, unit, help }
    }

    /// One in seconds.
    pub(super) const fn seconds(name: &'static str, help: &'static str) -> Self {
        let unit = Some(Unit::Seconds);
        Self { name, unit, help }
    }

    /// One in bytes.
    pub(super) const fn bytes(name: &'static str, help: &'static str) -> Self {
        let unit = Some(Unit::Bytes);
        Self { name, unit, help }
    }

    /// Writes it as gauges; nothing at all where there is none.
    pub(super) fn gauges<L: EncodeLabelSet>(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        samples: impl IntoIterator<Item = (L, Value)>,
    ) -> fmt::Result {
        self.write(encoder, MetricType::Gauge, samples, |mut sample, value| {
            sample.encode_gauge(&value)
        })
    }

    /// Writes it as counters; nothing at all where there is none.
    pub(super) fn counters<L: EncodeLabelSet>(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        samples: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        self.write(
            encoder,
            MetricType::Counter,
            samples,
            |mut sample, value| sample.encode_counter::<NoLabelSet, u64, f64>(&value, None),
        )
    }

    fn write<L: EncodeLabelSet, V>(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        kind: MetricType,
        samples: impl IntoIterator<Item = (L, V)>,
        one: impl Fn(MetricEncoder<'_>, V) -> fmt::Result,
    ) -> fmt::Result {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return Ok(());
        }
        let unit = self.unit.as_ref();
        let mut family = encoder.encode_descriptor(self.name, self.help, unit, kind)?;
        for (labels, value) in samples {
            one(family.encode_family(&labels)?, value)?;
        }
        Ok(())
    }
}
