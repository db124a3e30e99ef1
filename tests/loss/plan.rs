//! What is produced: an event for every number, the same for the same seed.

/// The context that every event is made of: 1.4 KB as the serializer wrote it.
const CONTEXT: &str = include_str!("../data/corpus/random/m0017.json");

/// How many rows the events are about.
const ROWS: u64 = 48;

/// The tables; the rows are spread over them.
const TABLES: [&str; 3] = ["account", "contact", "lead"];

/// The table that has a route to a sink of its own.
pub(crate) const ROUTED: &str = "contact";

/// Everything that is to be produced, by number from 0 on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) partitions: u16,
}

/// One event as it is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) partition: u16,
    pub(crate) row: u64,
    pub(crate) kind: Kind,
}

/// What must become of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Every sink accepts it.
    Wanted,
    /// The webhook refuses it for good, so that it goes to the dead letters too.
    Refused,
    /// It is no context, so that it goes to the dead letters alone.
    Undecodable,
}

impl Plan {
    /// The event of this number. All events of a row are in one partition.
    pub(crate) fn event(&self, number: u32) -> Planned {
        let drawn = mix(self.seed, number.into());
        let row = drawn % ROWS;
        let kind = match (drawn >> 32) % 211 {
            0 | 1 => Kind::Undecodable,
            2 => Kind::Refused,
            _ => Kind::Wanted,
        };
        Planned {
            partition: u16::try_from(row % u64::from(self.partitions)).unwrap(),
            row,
            kind,
        }
    }

    /// Its body.
    pub(crate) fn body(&self, number: u32) -> String {
        let Planned { row, kind, .. } = self.event(number);
        let operation = operation_id(number);
        match kind {
            // Torn off, or whole and damaged.
            Kind::Undecodable if number.is_multiple_of(2) => {
                format!("{{\"OperationId\":\"{operation}\",\"MessageName\":\"Upd")
            }
            Kind::Undecodable => format!(
                "{{\"OperationId\":\"{operation}\",\"InputParameters\":[],\"ParentContext\":null}}"
            ),
            Kind::Wanted | Kind::Refused => context(number, row),
        }
    }
}

/// The body of an event about a row.
pub(crate) fn context(number: u32, row: u64) -> String {
    CONTEXT
        .replace("\"MessageName\":\"Delete\"", "\"MessageName\":\"Assign\"")
        .replace(
            "056949d0-8805-bc46-30e1-1efae31d9843",
            &operation_id(number),
        )
        .replace("e02b0f58-3276-e424-0fde-0fb3959e1f8d", &row_id(row))
        .replace("\"contact\"", &format!("\"{}\"", table(row)))
}

/// The table of a row.
pub(crate) fn table(row: u64) -> &'static str {
    TABLES[usize::try_from(row).unwrap() % TABLES.len()]
}

/// The number of an event by its `OperationId`.
pub(crate) fn number_of(operation_id: &str) -> Option<u32> {
    u32::from_str_radix(operation_id.strip_prefix("0badcafe-0000-4000-8000-")?, 16).ok()
}

fn operation_id(number: u32) -> String {
    format!("0badcafe-0000-4000-8000-{number:012x}")
}

fn row_id(row: u64) -> String {
    format!("5eed0000-0000-4000-8000-{row:012x}")
}

/// A number that looks drawn, the same for the same two (the finalizer of SplitMix64).
pub(crate) fn mix(seed: u64, number: u64) -> u64 {
    let mut mixed = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[test]
fn a_body_says_which_event_it_is() {
    let plan = Plan {
        seed: 1,
        partitions: 4,
    };
    for number in 0..500 {
        let Planned { row, kind, .. } = plan.event(number);
        let body = plan.body(number);
        let (_, rest) = body.split_once("\"OperationId\":\"").unwrap();
        assert_eq!(number_of(&rest[..36]), Some(number));
        if kind != Kind::Undecodable {
            let context: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(context["PrimaryEntityId"], row_id(row));
            assert_eq!(context["PrimaryEntityName"], table(row));
        }
    }
}
