//! What `emulator --commands` takes on its standard input: a command a line, each of which lets the hub
//! misbehave, or ends that. A line that is wrong changes nothing.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use crate::cli::{counted, printable};
use crate::emulator::{Emulator, Fault};

/// A line that is not obeyed, and why: a sentence that names the command.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong(String);

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Obeys a line, and gives the answer to it; none to an empty line and to a comment.
pub(super) fn obey(hub: &Emulator, line: &str) -> Result<Option<String>, Wrong> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (name, arguments) = match &words[..] {
        [] => return Ok(None),
        [first, ..] if first.starts_with('#') => return Ok(None),
        ["help"] => return Ok(Some(help())),
        [name, arguments @ ..] => (*name, arguments),
    };
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        return Err(unknown(name));
    };
    let result = match command.act.on(hub, arguments) {
        Ok(result) => result,
        Err(reason) => {
            let usage = command.usage();
            return Err(Wrong(format!("{name}: {reason}; right is: {usage}")));
        }
    };
    let said = words.join(" ");
    Ok(Some(match result {
        Some(result) => format!("done: {said}: {result}"),
        None => format!("done: {said}"),
    }))
}

/// The commands, one a line.
pub(super) fn help() -> String {
    let listed = COMMANDS
        .iter()
        .map(|command| (command.usage(), command.about));
    let all = listed.chain([("help".to_owned(), "list the commands")]);
    let lines: Vec<_> = all
        .map(|(usage, about)| format!("  {usage:<28} {about}"))
        .collect();
    lines.join("\n")
}

fn unknown(name: &str) -> Wrong {
    let near = COMMANDS
        .iter()
        .map(|command| (strsim::osa_distance(name, command.name), command.name))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    let name = printable(name);
    Wrong(match near {
        Some((_, near)) => format!("{name}: there is no such command; did you mean {near}?"),
        None => format!("{name}: there is no such command; help lists them all"),
    })
}

/// A command: its name, what it takes and does with it, and that in words.
struct Command {
    name: &'static str,
    act: Act,
    about: &'static str,
}

/// What a command takes, and what it does with that. What is given back is told.
enum Act {
    Nothing(fn(&Emulator)),
    /// Nothing; it tells something.
    Question(fn(&Emulator) -> String),
    /// One partition, or all of them.
    Among(fn(&Emulator, Option<u16>)),
    Time(fn(&Emulator, Duration)),
    Count(fn(&Emulator, u16) -> io::Result<String>),
    Place(fn(&Emulator, u16, i64) -> io::Result<String>),
}

use Act::{Among, Count, Nothing, Place, Question, Time};

/// Every command. To add one: its line here.
#[rustfmt::skip]
const COMMANDS: &[Command] = &[
    row("drop", Among(|hub, of| hub.disturb(Fault::Drop, of)), "reset connections"),
    row("close", Among(|hub, of| hub.disturb(Fault::Close, of)), "close connections: amqp:connection:forced"),
    row("cut", Among(|hub, of| hub.disturb(Fault::CutFrame, of)), "end connections in the middle of their next event"),
    row("end", Among(|hub, of| hub.disturb(Fault::End, of)), "end sessions: amqp:internal-error"),
    row("detach", Among(|hub, of| hub.disturb(Fault::Detach, of)), "detach receivers: amqp:link:detach-forced"),
    row("steal", Among(|hub, of| hub.disturb(Fault::Steal, of)), "detach receivers: amqp:link:stolen"),
    row("freeze", Among(|hub, of| hub.disturb(Fault::Freeze, of)), "play dead: connections are neither read nor written"),
    row("thaw", Nothing(Emulator::thaw), "end freeze"),
    row("refuse-tokens", Nothing(Emulator::refuse_tokens), "refuse every token with 401; links run on until theirs ends"),
    row("accept-tokens", Nothing(Emulator::accept_tokens), "end refuse-tokens"),
    row("withhold-listen", Nothing(Emulator::withhold_listen), "refuse receivers, as where the key lacks the claim Listen"),
    row("grant-listen", Nothing(Emulator::grant_listen), "end withhold-listen"),
    row("throttle", Nothing(Emulator::throttle_attach), "refuse links: com.microsoft:server-busy"),
    row("quota", Nothing(Emulator::exhaust_quota), "refuse links: amqp:resource-limit-exceeded"),
    row("disable", Nothing(Emulator::disable), "refuse links: com.microsoft:entity-disabled"),
    row("allow", Nothing(Emulator::allow_attach), "end throttle, quota and disable"),
    row("throttle-management", Nothing(Emulator::throttle_management), "answer 503 where $management is asked"),
    row("allow-management", Nothing(Emulator::allow_management), "end throttle-management"),
    row("delay", Time(Emulator::set_delay), "let everything that is sent wait, for 250ms or 2s; 0s ends it"),
    row("recover", Nothing(Emulator::recover), "end all that lasts: what is frozen, refused, throttled or slow"),
    row("expire", Place(expire), "drop the events of a partition before that sequence number"),
    row("recreate", Nothing(Emulator::recreate), "make the hub anew: no events, and numbers begin at 0"),
    row("add-partitions", Count(add_partitions), "add so many partitions"),
    row("status", Question(status), "tell what is open"),
    row("receivers", Question(receivers), "tell how many receive from each partition"),
];

const fn row(name: &'static str, act: Act, about: &'static str) -> Command {
    Command { name, act, about }
}

fn expire(hub: &Emulator, partition: u16, before: i64) -> io::Result<String> {
    let count = hub.expire(partition, before)?;
    let events = counted(u64::try_from(count).unwrap_or(u64::MAX), "event");
    Ok(format!("{events} dropped"))
}

fn add_partitions(hub: &Emulator, count: u16) -> io::Result<String> {
    hub.add_partitions(count)
        .map(|sum| counted(sum.into(), "partition"))
}

fn status(hub: &Emulator) -> String {
    let many = |count: usize, noun| counted(u64::try_from(count).unwrap_or(u64::MAX), noun);
    let connections = many(hub.open_connections(), "connection");
    let links = many(hub.open_links(), "link");
    let partitions = many(hub.partitions().into(), "partition");
    format!("{connections}, {links}, {partitions}")
}

fn receivers(hub: &Emulator) -> String {
    let counts = (0..hub.partitions()).map(|partition| hub.receivers(partition).to_string());
    counts.collect::<Vec<_>>().join(" ")
}

impl Command {
    /// How it is written.
    fn usage(&self) -> String {
        let arguments = match self.act {
            Nothing(_) | Question(_) => return self.name.to_owned(),
            Among(_) => "[PARTITION]",
            Time(_) => "TIME",
            Count(_) => "COUNT",
            Place(_) => "PARTITION NUMBER",
        };
        format!("{} {arguments}", self.name)
    }
}

impl Act {
    /// Does it, where the arguments are right; else says what is wrong with them.
    fn on(&self, hub: &Emulator, arguments: &[&str]) -> Result<Option<String>, String> {
        let told = |told: io::Result<String>| told.map(Some).map_err(|error| error.to_string());
        match (self, arguments) {
            (Nothing(act), []) => act(hub),
            (Question(ask), []) => return Ok(Some(ask(hub))),
            (Among(act), []) => act(hub, None),
            (Among(act), [partition]) => act(hub, Some(partition_of(hub, partition)?)),
            (Time(act), [time]) => act(hub, time_of(time)?),
            (Count(act), [count]) => return told(act(hub, number_of(count, "a count")?)),
            (Place(act), [partition, number]) => {
                let partition = partition_of(hub, partition)?;
                return told(act(hub, partition, number_of(number, "a sequence number")?));
            }
            (Time(_) | Count(_) | Place(_), []) => return Err("something is missing".to_owned()),
            (Place(_), [_]) => return Err("something is missing".to_owned()),
            (_, [.., last]) => return Err(format!("{} is too much", quoted(last))),
        }
        Ok(None)
    }
}

fn partition_of(hub: &Emulator, word: &str) -> Result<u16, String> {
    let partition = number_of(word, "a partition")?;
    let last = hub.partitions() - 1;
    match partition <= last {
        true => Ok(partition),
        false => Err(format!(
            "there is no partition {partition}, only 0 to {last}"
        )),
    }
}

fn number_of<T: FromStr>(word: &str, what: &str) -> Result<T, String> {
    word.parse()
        .map_err(|_| format!("{} is not {what}", quoted(word)))
}

fn time_of(word: &str) -> Result<Duration, String> {
    humantime::parse_duration(word)
        .map_err(|_| format!("{} is no time such as 250ms or 2s", quoted(word)))
}

fn quoted(word: &str) -> String {
    format!("\"{}\"", printable(word))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::emulator::Options;

    async fn hub() -> Emulator {
        Emulator::start(Options::default()).await.unwrap()
    }

    #[test]
    fn every_name_is_there_once_and_every_line_of_the_help_fits_the_screen() {
        let names: BTreeSet<_> = COMMANDS.iter().map(|command| command.name).collect();
        assert_eq!(names.len(), COMMANDS.len());
        assert_eq!(help().lines().count(), COMMANDS.len() + 1);
        for line in help().lines() {
            assert!(line.len() <= 98, "{line}");
        }
    }

    #[tokio::test]
    async fn every_command_is_obeyed_as_its_usage_has_it() {
        let hub = hub().await;
        for command in COMMANDS {
            let usage = command.usage();
            let line = usage
                .replace("[PARTITION]", "1")
                .replace("PARTITION NUMBER", "1 7")
                .replace("TIME", "0s")
                .replace("COUNT", "1");
            let answer = obey(&hub, &line).unwrap().unwrap();
            assert!(answer.starts_with(&format!("done: {line}")), "{answer}");
            assert!(!answer.contains('\n'), "{answer}");
            if usage.contains('[') {
                obey(&hub, command.name).unwrap().unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_wrong_line_names_the_command_and_says_what_is_right() {
        let hub = hub().await;
        for (line, expected) in [
            ("drpo", "drpo: there is no such command; did you mean drop?"),
            (
                "explode 1",
                "explode: there is no such command; help lists them all",
            ),
            (
                "drop 4",
                "drop: there is no partition 4, only 0 to 3; right is: drop [PARTITION]",
            ),
            (
                "drop -1",
                "drop: \"-1\" is not a partition; right is: drop [PARTITION]",
            ),
            (
                "steal 1 2",
                "steal: \"2\" is too much; right is: steal [PARTITION]",
            ),
            (
                "recreate now",
                "recreate: \"now\" is too much; right is: recreate",
            ),
            (
                "expire 1",
                "expire: something is missing; right is: expire PARTITION NUMBER",
            ),
            (
                "expire 0 x",
                "expire: \"x\" is not a sequence number; right is: expire PARTITION NUMBER",
            ),
            (
                "delay 5",
                "delay: \"5\" is no time such as 250ms or 2s; right is: delay TIME",
            ),
            (
                "add-partitions 1021",
                "add-partitions: a hub has at most 1024 partitions; right is: add-partitions COUNT",
            ),
            (
                "\x1b[2J",
                "\\u{1b}[2J: there is no such command; help lists them all",
            ),
        ] {
            assert_eq!(obey(&hub, line), Err(Wrong(expected.to_owned())), "{line}");
        }
        assert_eq!(hub.partitions(), 4);
    }

    #[tokio::test]
    async fn empty_lines_and_comments_are_passed_over() {
        let hub = hub().await;
        for line in ["", "  ", "# drop", "\t"] {
            assert_eq!(obey(&hub, line), Ok(None));
        }
    }
}
