//! What was found, as lines for a person or for programs.

use std::time::Duration;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::exit::Exit;
use super::super::{counted, printable};
use crate::event::{PartitionId, Source};
use crate::receiver::Extent;

/// A step, and what came of it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) step: String,
    pub(super) partition: Option<PartitionId>,
    pub(super) took: Duration,
    /// What became known, as a fragment; often nothing.
    pub(super) fact: String,
    pub(super) extent: Option<Extent>,
    pub(super) verdict: Verdict,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    Failed {
        exit: Exit,
        cause: String,
        cure: String,
    },
    Skipped {
        why: String,
    },
}

/// Writes lines, and counts them.
pub(super) struct Lines {
    form: Form,
    count: Count,
}

enum Form {
    Pretty { is_colored: bool },
    Json,
}

#[derive(Default)]
struct Count {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// The longest name of a step, with its partition.
const STEP_WIDTH: usize = 16;

const GREEN: &str = "32";
const RED: &str = "31";
const YELLOW: &str = "33";

impl Lines {
    pub(super) fn for_a_person(is_colored: bool) -> Self {
        Self {
            form: Form::Pretty { is_colored },
            count: Count::default(),
        }
    }

    pub(super) fn for_programs() -> Self {
        Self {
            form: Form::Json,
            count: Count::default(),
        }
    }

    /// Which hub the next lines are about.
    pub(super) fn head(&self, source: &Source) -> String {
        match self.form {
            Form::Pretty { .. } => format!(
                "{} of {} as {}\n",
                printable(&format!("{:?}", source.event_hub)),
                printable(&source.namespace),
                printable(&source.consumer_group)
            ),
            Form::Json => String::new(),
        }
    }

    pub(super) fn line(&mut self, source: &Source, line: &Line) -> String {
        match line.verdict {
            Verdict::Passed => self.count.passed += 1,
            Verdict::Failed { .. } => self.count.failed += 1,
            Verdict::Skipped { .. } => self.count.skipped += 1,
        }
        match self.form {
            Form::Pretty { is_colored } => pretty(line, is_colored),
            Form::Json => format!("{}\n", document(source, line)),
        }
    }

    /// What came of the hub, all in all. Counting begins anew.
    pub(super) fn end(&mut self) -> String {
        let Count {
            passed,
            failed,
            skipped,
        } = std::mem::take(&mut self.count);
        if let Form::Json = self.form {
            return String::new();
        }
        let mut text = match failed {
            0 => format!("all is well: {} passed", counted(passed, "step")),
            some => format!("{} failed, {passed} passed", counted(some, "step")),
        };
        if skipped > 0 {
            text.push_str(&format!(", {skipped} skipped"));
        }
        text.push('\n');
        text
    }
}

fn pretty(line: &Line, is_colored: bool) -> String {
    let (word, color, after) = match &line.verdict {
        Verdict::Passed => ("ok", GREEN, String::new()),
        Verdict::Failed { cause, cure, .. } => {
            let indent = " ".repeat(11);
            let (cause, cure) = (printable(cause), printable(cure));
            (
                "FAILED",
                RED,
                format!("{indent}{cause}\n{indent}-> {cure}\n"),
            )
        }
        Verdict::Skipped { .. } => ("skipped", YELLOW, String::new()),
    };
    let mut padded = format!("{word:<7}");
    if is_colored {
        padded = format!("\x1b[{color}m{padded}\x1b[0m");
    }
    let mut step = line.step.clone();
    if let Some(partition) = &line.partition {
        step = format!("{step} {}", printable(partition.as_str()));
    }
    let (time, fact) = match &line.verdict {
        Verdict::Skipped { why } => (String::new(), printable(why)),
        _ => (
            format!("{} ms", line.took.as_millis()),
            printable(&line.fact),
        ),
    };
    let text = format!("  {padded}  {step:<STEP_WIDTH$} {time:>9}  {fact}");
    format!("{}\n{after}", text.trim_end())
}

/// The same as a JSON document. Members that say nothing are left out.
fn document(source: &Source, line: &Line) -> Value {
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    put("namespace", json!(source.namespace));
    put("event_hub", json!(source.event_hub));
    put("consumer_group", json!(source.consumer_group));
    put("step", json!(line.step));
    if let Some(partition) = &line.partition {
        put("partition", json!(partition.as_str()));
    }
    let status = match &line.verdict {
        Verdict::Passed => "passed",
        Verdict::Failed { .. } => "failed",
        Verdict::Skipped { .. } => "skipped",
    };
    put("status", json!(status));
    if !matches!(line.verdict, Verdict::Skipped { .. }) {
        let milliseconds = u64::try_from(line.took.as_millis()).unwrap_or(u64::MAX);
        put("milliseconds", json!(milliseconds));
    }
    if !line.fact.is_empty() {
        put("fact", json!(line.fact));
    }
    if let Some(Extent {
        first,
        last: Some(last),
        ..
    }) = &line.extent
    {
        put("first_sequence_number", json!(first.0));
        put(
            "last_sequence_number",
            json!(last.position.sequence_number.0),
        );
        put("last_enqueued_time", json!(moment(last.enqueued_time)));
    }
    match &line.verdict {
        Verdict::Passed => {}
        Verdict::Failed { exit, cause, cure } => {
            put("cause", json!(cause));
            put("cure", json!(cure));
            put("exit_code", json!(*exit as u8));
        }
        Verdict::Skipped { why } => put("why", json!(why)),
    }
    Value::Object(members)
}

fn moment(time: OffsetDateTime) -> Option<String> {
    time.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        Source {
            namespace: "ns.example".to_owned(),
            event_hub: "h".to_owned(),
            consumer_group: "$Default".to_owned(),
        }
    }

    fn line(verdict: Verdict) -> Line {
        Line {
            step: "attach".to_owned(),
            partition: Some(PartitionId::new("0")),
            took: Duration::from_millis(12),
            fact: String::new(),
            extent: None,
            verdict,
        }
    }

    fn failed() -> Line {
        let failed = line(Verdict::Failed {
            exit: Exit::Unavailable,
            cause: "it is\u{1b}[31m gone".to_owned(),
            cure: "bring it back".to_owned(),
        });
        Line {
            fact: "CN=x".to_owned(),
            ..failed
        }
    }

    fn skipped() -> Line {
        line(Verdict::Skipped {
            why: "TCP has failed".to_owned(),
        })
    }

    #[test]
    fn a_person_reads_columns_and_beneath_what_failed_its_cause_and_its_cure() {
        let mut lines = Lines::for_a_person(false);
        let mut text = lines.head(&source());
        for line in [line(Verdict::Passed), failed(), skipped()] {
            text.push_str(&lines.line(&source(), &line));
        }
        text.push_str(&lines.end());
        assert_eq!(
            text,
            "\"h\" of ns.example as $Default\n  \
             ok       attach 0             12 ms\n  \
             FAILED   attach 0             12 ms  CN=x\n           \
             it is\\u{1b}[31m gone\n           \
             -> bring it back\n  \
             skipped  attach 0                    TCP has failed\n\
             1 step failed, 1 passed, 1 skipped\n"
        );
        let mut colored = Lines::for_a_person(true);
        let text = colored.line(&source(), &line(Verdict::Passed));
        assert!(text.starts_with("  \u{1b}[32mok     \u{1b}[0m  attach 0"));
        assert_eq!(colored.end(), "all is well: 1 step passed\n");
    }

    #[test]
    fn a_program_reads_a_document_a_line() {
        let mut lines = Lines::for_programs();
        assert_eq!(lines.head(&source()), "");
        let passed = lines.line(&source(), &line(Verdict::Passed));
        let about = r#"{"namespace":"ns.example","event_hub":"h","consumer_group":"$Default","step":"attach","partition":"0","#;
        let rest = |text: &str| {
            let mut read: Value = serde_json::from_str(text).unwrap();
            let head: Value = serde_json::from_str(&format!("{about}\"x\":0}}")).unwrap();
            for name in head.as_object().unwrap().keys().filter(|name| *name != "x") {
                assert_eq!(read[name], head[name]);
                read.as_object_mut().unwrap().remove(name);
            }
            read
        };
        assert_eq!(
            rest(&passed),
            json!({"status": "passed", "milliseconds": 12})
        );
        assert_eq!(
            rest(&lines.line(&source(), &failed())),
            json!({
                "status": "failed", "milliseconds": 12, "fact": "CN=x", "cause": "it is\u{1b}[31m gone",
                "cure": "bring it back", "exit_code": 69
            })
        );
        assert_eq!(
            rest(&lines.line(&source(), &skipped())),
            json!({"status": "skipped", "why": "TCP has failed"})
        );
        assert_eq!(lines.end(), "");
    }
}
