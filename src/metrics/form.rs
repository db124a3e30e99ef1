//! Which text format is wanted.
//!
//! Sources: RFC 9110, section 12.5.1 (Accept); "Exposition formats" of Prometheus; OpenMetrics 1.0.0, section
//! "Negotiation".

/// A text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// That of Prometheus, 0.0.4, which everybody reads.
    Prometheus,
}

impl Form {
    /// The one that whoever sends this `Accept` likes better; OpenMetrics only where it is named.
    pub(crate) fn of_accept(accept: Option<&str>) -> Self {
        let (mut open_metrics, mut prometheus) = (0.0_f64, 0.0_f64);
        for range in accept.unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut quality, mut version) = (1.0_f64, None);
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                let value = value.trim().trim_matches('"');
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => quality = value.parse().unwrap_or(0.0),
                    "version" => version = Some(value),
                    _ => {}
                }
            }
            let wish = match &*media_type {
                "application/openmetrics-text" if version.is_none_or(|it| it == "1.0.0") => {
                    &mut open_metrics
                }
                "text/plain" | "text/*" | "*/*" => &mut prometheus,
                _ => continue,
            };
            *wish = quality.max(*wish);
        }
        if open_metrics > 0.0 && open_metrics >= prometheus {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// What to send as `Content-Type`.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_client::encoding::prometheus_text::CONTENT_TYPE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Prometheus 2.42 and 3.5 send.
    const PROMETHEUS_2: &str = "application/openmetrics-text;version=1.0.0,\
        application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
        application/openmetrics-text;version=0.0.1;q=0.5,\
        text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

    #[test]
    fn whoever_asks_gets_the_format_that_he_likes_better() {
        for (accept, expected) in [
            (None, Form::Prometheus),
            (Some(""), Form::Prometheus),
            (Some("*/*"), Form::Prometheus),
            (
                Some("text/html,application/xhtml+xml,*/*;q=0.8"),
                Form::Prometheus,
            ),
            (Some(PROMETHEUS_2), Form::OpenMetrics),
            (Some(PROMETHEUS_3), Form::OpenMetrics),
            (Some("application/openmetrics-text"), Form::OpenMetrics),
            (
                Some("Application/OpenMetrics-Text; Version=\"1.0.0\"; charset=utf-8"),
                Form::OpenMetrics,
            ),
            (Some("application/openmetrics-text;q=0"), Form::Prometheus),
            (
                Some("application/openmetrics-text;q=much"),
                Form::Prometheus,
            ),
            (
                Some("application/openmetrics-text;version=0.0.1"),
                Form::Prometheus,
            ),
            (
                Some("text/plain;version=0.0.4, application/openmetrics-text;q=0.9"),
                Form::Prometheus,
            ),
        ] {
            assert_eq!(Form::of_accept(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn what_is_sent_says_which_it_is() {
        for form in [Form::OpenMetrics, Form::Prometheus] {
            assert_eq!(Form::of_accept(Some(form.content_type())), form);
        }
    }
}
