//! What the process takes, by the names that the client libraries of Prometheus share. On systems without `/proc`
//! there is nothing to tell.

#[cfg(target_os = "linux")]
pub(super) use linux::Process;
#[cfg(not(target_os = "linux"))]
pub(super) use other::Process;

#[cfg(target_os = "linux")]
mod linux {
    use std::fmt;

    use procfs::process::{self, LimitValue, Stat};
    use prometheus_client::collector::Collector;
    use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
    use prometheus_client::metrics::MetricType;
    use prometheus_client::metrics::counter::ConstCounter;

    use super::super::family::{Family, Value};

    /// This process.
    #[derive(Debug)]
    pub(in crate::metrics) struct Process {
        /// In seconds since 1970. Told as it was found first, for the system's idea of it wavers.
        started: Option<f64>,
    }

    static CPU: Family = Family::seconds("process_cpu", "CPU time spent, by user and system.");
    static STARTED: Family = Family::seconds("process_start_time", "When the process was started.");
    static RESIDENT: Family = Family::bytes("process_resident_memory", "Resident memory.");
    static VIRTUAL: Family = Family::bytes("process_virtual_memory", "Virtual memory.");
    static THREADS: Family = Family::of("process_threads", "Threads of the operating system.");
    static OPEN: Family = Family::of("process_open_fds", "Open file descriptors.");
    static MOST: Family = Family::of("process_max_fds", "File descriptors that may be open.");

    /// No labels at all.
    const NONE: [(&str, &str); 0] = [];

    impl Process {
        /// The one that asks.
        pub(in crate::metrics) fn myself() -> Self {
            let stat = process::Process::myself().and_then(|process| process.stat());
            let started = stat.ok().zip(procfs::boot_time_secs().ok());
            Self {
                started: started.map(|(stat, boot)| boot as f64 + seconds(stat.starttime)),
            }
        }
    }

    impl Collector for Process {
        fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
            let encoder = &mut encoder;
            STARTED.gauges(encoder, self.started.map(|time| (NONE, Value::Real(time))))?;
            // What cannot be read is not told, and keeps nothing else from being so.
            let Ok(process) = process::Process::myself() else {
                return Ok(());
            };
            if let Ok(stat) = process.stat() {
                encode_stat(&stat, encoder)?;
            }
            let open = process.fd_count().ok();
            OPEN.gauges(encoder, open.map(|count| (NONE, Value::count(count))))?;
            let most = process.limits().ok();
            let most = most.and_then(|limits| match limits.max_open_files.soft_limit {
                LimitValue::Value(most) => Some(most),
                LimitValue::Unlimited => None,
            });
            MOST.gauges(encoder, most.map(|count| (NONE, Value::count(count))))
        }
    }

    fn encode_stat(stat: &Stat, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let cpu = ConstCounter::new(seconds(stat.utime + stat.stime));
        let Family { name, unit, help } = &CPU;
        let counter = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
        cpu.encode(counter)?;
        let resident = stat.rss.saturating_mul(procfs::page_size());
        RESIDENT.gauges(encoder, [(NONE, Value::count(resident))])?;
        VIRTUAL.gauges(encoder, [(NONE, Value::count(stat.vsize))])?;
        THREADS.gauges(encoder, [(NONE, Value::count(stat.num_threads))])
    }

    /// So many of the clock's ticks.
    fn seconds(ticks: u64) -> f64 {
        ticks as f64 / procfs::ticks_per_second() as f64
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::fmt;

    use prometheus_client::collector::Collector;
    use prometheus_client::encoding::DescriptorEncoder;

    /// This process.
    #[derive(Debug)]
    pub(in crate::metrics) struct Process;

    impl Process {
        /// The one that asks.
        pub(in crate::metrics) fn myself() -> Self {
            Self
        }
    }

    impl Collector for Process {
        fn encode(&self, _encoder: DescriptorEncoder<'_>) -> fmt::Result {
            Ok(())
        }
    }
}
