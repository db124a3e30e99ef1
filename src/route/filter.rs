//! What a message must be for a route to take it.

use super::pattern::Patterns;
use super::range::Ranges;
use crate::context::{Entity, ExecutionContext, Number, Target, Value, WireFormat};
use crate::message::{Content, Message};

/// Conditions on a message: all of them must hold, and none of the groups that are excluded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(super) all: Vec<Condition>,
    /// Groups of which none may hold as a whole.
    pub(super) none: Vec<Vec<Condition>>,
}

/// One condition.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    /// One of the texts that a context has there must fit.
    Said(Said, Patterns),
    /// The number that a context has there must be one of these.
    Number(Integer, Ranges),
    /// The columns of these names must have values that fit, all in one row of the target.
    Attributes(Vec<(String, Patterns)>),
    /// Whether Dataverse cut the context to size.
    Truncated(bool),
    /// The text that every event has there must fit.
    Envelope(Envelope, Patterns),
    /// An application property, by its name in any case, with a value that fits.
    Property(String, Patterns),
    /// Whether the body could not be decoded.
    Undecodable(bool),
    /// Whether the event is somebody else's.
    Foreign(bool),
}

/// True where one of the texts passes the test.
pub(super) type Said = fn(ExecutionContext<'_>, &dyn Fn(&str) -> bool) -> bool;
pub(super) type Integer = fn(ExecutionContext<'_>) -> Option<i64>;
pub(super) type Envelope = fn(&Message) -> Option<&str>;

/// A key of `[[route]]` and of `--where`.
pub(super) enum Key {
    Said(Said),
    Number(Integer, &'static [(&'static str, i64)]),
    /// Where there are only so many, those that there can be.
    Envelope(Envelope, Option<&'static [&'static str]>),
    Fact(fn(bool) -> Condition),
}

/// The keys, but for `attribute` and `property`, which are tables. To add one: its line here, in the
/// README and in `config/`.
pub(super) const KEYS: &[(&str, Key)] = &[
    (
        "message",
        Key::Said(|context, fits| context.message_name().is_some_and(fits)),
    ),
    (
        "table",
        Key::Said(|context, fits| context.primary_entity_name().is_some_and(fits)),
    ),
    ("stage", Key::Number(|context| context.stage(), STAGES)),
    ("mode", Key::Number(|context| context.mode(), MODES)),
    ("depth", Key::Number(|context| context.depth(), &[])),
    (
        "organization",
        Key::Said(|context, fits| {
            context.organization_id().is_some_and(fits)
                || context.organization_name().is_some_and(fits)
        }),
    ),
    (
        "user",
        Key::Said(|context, fits| {
            context.user_id().is_some_and(fits) || context.initiating_user_id().is_some_and(fits)
        }),
    ),
    ("changed", Key::Said(changes)),
    (
        "format",
        Key::Envelope(
            |message| message.format().map(WireFormat::as_str),
            Some(&["json", "xml", "binary"]),
        ),
    ),
    (
        "partition",
        Key::Envelope(|message| Some(message.event.partition.as_str()), None),
    ),
    ("truncated", Key::Fact(Condition::Truncated)),
    ("undecodable", Key::Fact(Condition::Undecodable)),
    ("foreign", Key::Fact(Condition::Foreign)),
];

/// Source: `Stage` and `Mode` of `Microsoft.Xrm.Sdk.IPluginExecutionContext` and `IExecutionContext`.
const STAGES: &[(&str, i64)] = &[
    ("prevalidation", 10),
    ("preoperation", 20),
    ("mainoperation", 30),
    ("postoperation", 40),
];
const MODES: &[(&str, i64)] = &[("sync", 0), ("async", 1)];

impl Filter {
    /// True when `message` is what the filter asks for. What cannot be decoded is only where the filter
    /// says `undecodable = true`; the event of somebody else, where nothing is asked of a context.
    pub(crate) fn matches(&self, message: &Message) -> bool {
        let is_undecodable = is_undecodable(message);
        let hold = |conditions: &[Condition]| conditions.iter().all(|one| one.holds(message));
        (!is_undecodable || self.takes_undecodable())
            && hold(&self.all)
            && !self.none.iter().any(|group| hold(group))
    }

    /// True when it asks for what cannot be decoded.
    pub(super) fn takes_undecodable(&self) -> bool {
        let mut conditions = self.all.iter();
        conditions.any(|condition| matches!(condition, Condition::Undecodable(true)))
    }
}

impl Condition {
    /// Nothing holds of a context where there is none.
    fn holds(&self, message: &Message) -> bool {
        let context = message.context();
        match self {
            Self::Said(said, patterns) => {
                context.is_some_and(|context| said(context, &|text| patterns.fits(text)))
            }
            Self::Number(number, ranges) => context
                .and_then(number)
                .is_some_and(|number| ranges.hold(number)),
            Self::Attributes(wanted) => context.is_some_and(|context| has_row(context, wanted)),
            Self::Truncated(wanted) => context.is_some() && message.is_truncated() == *wanted,
            Self::Envelope(text, patterns) => text(message).is_some_and(|text| patterns.fits(text)),
            Self::Property(name, patterns) => {
                let property = message.event.properties.get(name);
                property.is_some_and(|value| is_property(value, patterns))
            }
            Self::Undecodable(wanted) => is_undecodable(message) == *wanted,
            Self::Foreign(wanted) => matches!(message.content, Content::Foreign(_)) == *wanted,
        }
    }

    /// True where it is about a context, so that it holds of nothing else.
    pub(super) fn needs_context(&self) -> bool {
        match self {
            Self::Said(..) | Self::Number(..) | Self::Attributes(_) | Self::Truncated(_) => true,
            Self::Envelope(..) | Self::Property(..) | Self::Undecodable(_) | Self::Foreign(_) => {
                false
            }
        }
    }

    /// True where it holds of nothing that cannot be decoded.
    pub(super) fn needs_decoded(&self) -> bool {
        self.needs_context() || matches!(self, Self::Undecodable(false) | Self::Foreign(true))
    }

    /// True where it holds of no event of somebody else.
    pub(super) fn needs_own(&self) -> bool {
        self.needs_context() || matches!(self, Self::Undecodable(true) | Self::Foreign(false))
    }
}

fn is_undecodable(message: &Message) -> bool {
    matches!(message.content, Content::Undecodable { .. })
}

/// The rows with columns that an operation was done to: one, or those of CreateMultiple and the like.
fn rows(context: ExecutionContext<'_>) -> impl Iterator<Item = Entity<'_>> {
    let targets = context.target().into_iter().chain(context.targets());
    targets.filter_map(|target: Target<'_>| target.entity())
}

fn changes(context: ExecutionContext<'_>, fits: &dyn Fn(&str) -> bool) -> bool {
    rows(context)
        .filter_map(|row| row.attributes())
        .any(|columns| columns.iter().any(|(name, _)| fits(name)))
}

/// Columns have names in lower case; people write them as they please.
fn has_row(context: ExecutionContext<'_>, wanted: &[(String, Patterns)]) -> bool {
    rows(context)
        .filter_map(|row| row.attributes())
        .any(|columns| {
            wanted.iter().all(|(name, patterns)| {
                columns.iter().any(|(column, value)| {
                    column.eq_ignore_ascii_case(name) && is_value(value, patterns)
                })
            })
        })
}

/// Whether a value, as text, fits: of a choice or an amount its number, of a reference the id, of
/// several choices any; an emptied column is the text `null`.
fn is_value(value: Value<'_>, patterns: &Patterns) -> bool {
    match value {
        Value::Null => patterns.fits("null"),
        Value::Bool(true) => patterns.fits("true"),
        Value::Bool(false) => patterns.fits("false"),
        Value::Number(number) => is_number(number, patterns),
        Value::String(text) | Value::Guid(text) => patterns.fits(text),
        Value::DateTime(date) => patterns.fits(date.as_str()),
        Value::Array(items) => items.iter().any(|item| is_value(item, patterns)),
        Value::Object(object) if object.is("EntityReference") => {
            object.text("Id").is_some_and(|id| patterns.fits(id))
        }
        Value::Object(object) => object
            .get("Value")
            .is_some_and(|value| is_value(value, patterns)),
        Value::Bytes(_) | Value::Bag(_) | Value::Context(_) => false,
    }
}

/// An amount of 100 is sent as `100.0000`: the zeros may be left out, and written too.
fn is_number(number: Number<'_>, patterns: &Patterns) -> bool {
    let text = number.as_str();
    let has_zeros = text.contains('.') && !text.contains(['e', 'E']);
    patterns.fits(text)
        || has_zeros && patterns.fits(text.trim_end_matches('0').trim_end_matches('.'))
}

fn is_property(value: &serde_json::Value, patterns: &Patterns) -> bool {
    match value {
        serde_json::Value::Null => patterns.fits("null"),
        serde_json::Value::Bool(true) => patterns.fits("true"),
        serde_json::Value::Bool(false) => patterns.fits("false"),
        serde_json::Value::Number(number) => patterns.fits(number.as_str()),
        serde_json::Value::String(text) => patterns.fits(text),
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::{PartitionId, Properties};
    use crate::message::samples;
    use crate::route::Config;
    use crate::settings::Settings;

    /// An attribute as JSON.
    fn attribute(name: &str, value: &str) -> String {
        format!(r#"{{"key":"{name}","value":{value}}}"#)
    }

    /// A complex value as JSON.
    fn typed(name: &str, members: &str) -> String {
        format!(
            r#"{{"__type":"{name}:http:\/\/schemas.microsoft.com\/xrm\/2011\/Contracts",{members}}}"#
        )
    }

    fn row(attributes: &[String]) -> String {
        typed(
            "Entity",
            &format!(
                r#""Attributes":[{}],"Id":"6420f0cc-916b-ee11-9ae6-000d3a688809","LogicalName":"account""#,
                attributes.join(",")
            ),
        )
    }

    fn body(message_name: &str, parameter: &str, value: &str) -> String {
        format!(
            r#"{{"MessageName":"{message_name}","PrimaryEntityName":"account","Stage":40,"Mode":1,"Depth":2,"UserId":"11111111-1111-1111-1111-111111111111","InitiatingUserId":"22222222-2222-2222-2222-222222222222","OrganizationId":"b015df52-a05f-ee11-a382-000d3a64db73","OrganizationName":"org94971a24","InputParameters":[{{"key":"{parameter}","value":{value}}}]}}"#
        )
    }

    fn update() -> Message {
        let amount = |digits: &str| typed("Money", &format!(r#""Value":{digits}"#));
        let choice = |number: u8| typed("OptionSetValue", &format!(r#""Value":{number}"#));
        let contact = r#""Id":"33333333-3333-3333-3333-333333333333","LogicalName":"contact""#;
        message(&body(
            "Update",
            "Target",
            &row(&[
                attribute("name", r#""Fabrikam & Söhne""#),
                attribute("telephone1", "null"),
                attribute("statuscode", &choice(2)),
                attribute("colors", &format!("[{},{}]", choice(1), choice(3))),
                attribute("creditlimit", &amount("100.5000")),
                attribute("revenue", &amount("2000.0000000000")),
                attribute("numberofemployees", "1000"),
                attribute("donotemail", "true"),
                attribute("primarycontactid", &typed("EntityReference", contact)),
            ]),
        ))
    }

    /// Two rows: a is 1 and b is 1, a is 2 and b is 2.
    fn update_multiple() -> Message {
        let rows = ["1", "2"].map(|value| row(&[attribute("a", value), attribute("b", value)]));
        let rows = format!(r#""EntityName":"account","Entities":[{}]"#, rows.join(","));
        message(&body(
            "UpdateMultiple",
            "Targets",
            &typed("EntityCollection", &rows),
        ))
    }

    fn message(body: &str) -> Message {
        let mut event = samples::event(body);
        event.partition = PartitionId::new("3");
        event.properties = Properties::from_iter([
            ("Source".to_owned(), "ERP".into()),
            ("Attempt".to_owned(), 7.into()),
            ("Flag".to_owned(), true.into()),
            ("Nothing".to_owned(), serde_json::Value::Null),
        ]);
        samples::decoded(event)
    }

    #[track_caller]
    fn check(message: &Message, cases: &[(&str, bool)]) {
        for (text, expected) in cases {
            let filter = Filter::parse_where(text).unwrap();
            assert_eq!(filter.matches(message), *expected, "{text}");
        }
    }

    #[test]
    fn each_key_reads_its_part_of_the_message() {
        check(
            &update(),
            &[
                ("", true),
                ("message=update", true),
                ("message=Create|Update", true),
                ("message=Create", false),
                ("table=acc*", true),
                ("table=contact", false),
                ("table!=contact", true),
                ("table!=account", false),
                ("stage=postoperation", true),
                ("stage=40", true),
                ("stage=10..30", false),
                ("mode=async", true),
                ("mode=sync", false),
                ("depth=2..", true),
                ("depth=1", false),
                ("depth!=1", true),
                ("organization=org94971a24", true),
                ("organization=B015DF52-*", true),
                ("organization=org1", false),
                ("user=11111111-*", true),
                ("user=22222222-*", true),
                ("user=33333333-*", false),
                ("changed=telephone1", true),
                ("changed=address*", false),
                ("changed!=name", false),
                ("property.source=erp", true),
                ("property.attempt=7", true),
                ("property.flag=true", true),
                ("property.nothing=null", true),
                ("property.none=*", false),
                ("format=json", true),
                ("format=xml", false),
                ("partition=3", true),
                ("partition=1|2", false),
                ("truncated=false", true),
                ("truncated=true", false),
                ("undecodable=false", true),
                ("foreign=false", true),
                ("foreign=true", false),
                ("foreign!=true", true),
                ("undecodable=true", false),
                ("undecodable!=true", true),
                ("message=Update,table=account,changed=name", true),
                ("message=Update,table=account,changed=fax", false),
            ],
        );
    }

    #[test]
    fn a_column_is_compared_as_text() {
        check(
            &update(),
            &[
                ("attribute.name=fabrikam*", true),
                ("attribute.NAME=fabrikam ? sÖhne", true),
                ("attribute.name=contoso", false),
                ("attribute.telephone1=null", true),
                ("attribute.telephone1=*", true),
                ("attribute.telephone1=", false),
                ("attribute.statuscode=2", true),
                ("attribute.colors=3", true),
                ("attribute.colors=2", false),
                ("attribute.creditlimit=100.5", true),
                ("attribute.creditlimit=100.5000", true),
                ("attribute.creditlimit=100", false),
                ("attribute.revenue=2000", true),
                ("attribute.numberofemployees=1000", true),
                ("attribute.numberofemployees=1", false),
                ("attribute.donotemail=true", true),
                ("attribute.primarycontactid=33333333-*", true),
                ("attribute.fax=*", false),
                ("attribute.fax!=*", true),
            ],
        );
    }

    #[test]
    fn of_several_rows_one_is_enough_and_it_has_all_columns() {
        check(
            &update_multiple(),
            &[
                ("changed=b", true),
                ("changed=c", false),
                ("attribute.a=1", true),
                ("attribute.a=2,attribute.b=2", true),
                ("attribute.a=1,attribute.b=2", false),
                ("attribute.a=3", false),
                ("attribute.a!=2", false),
                ("attribute.a!=3", true),
            ],
        );
    }

    #[test]
    fn what_cannot_be_decoded_is_matched_only_where_it_is_asked_for() {
        check(
            &message("?"),
            &[
                ("", false),
                ("table!=account", false),
                ("truncated=false", false),
                ("undecodable!=true", false),
                ("partition=3", false),
                ("undecodable=true", true),
                ("undecodable!=false", true),
                ("undecodable=true,partition=3", true),
                ("undecodable=true,partition=1", false),
                ("undecodable=true,property.source=erp", true),
                ("undecodable=true,format=json|xml", false),
                ("undecodable=true,table!=account", true),
                ("undecodable=true,truncated!=false", true),
            ],
        );
        check(&message("{"), &[("undecodable=true,format=json", true)]);
    }

    #[test]
    fn nothing_about_a_context_holds_of_what_has_none() {
        let undecodable = message("?");
        for toml in KEY_SAMPLES {
            let filter = of_toml(toml);
            for condition in &filter.all {
                assert!(
                    !condition.needs_decoded() || !condition.holds(&undecodable),
                    "{toml}"
                );
            }
        }
    }

    fn of_toml(toml: &str) -> Filter {
        let settings = Settings::of_toml("route", &format!("{toml}\nsinks = \"a\""));
        let (route, mistakes) = Config::read(settings, &["a"]);
        assert_eq!(mistakes, [], "{toml}");
        route.filter
    }

    /// For each key some that hold of [`update`] or of [`update_multiple`], and some that do not.
    const KEY_SAMPLES: &[&str] = &[
        "message = \"Update\"",
        "message = [\"Create\", \"*Multiple\"]",
        "table = \"a*\"",
        "table = \"contact\"",
        "stage = \"postoperation\"",
        "stage = 10",
        "mode = \"async\"",
        "mode = [0]",
        "depth = [\"2..\"]",
        "depth = 1",
        "organization = \"org9*\"",
        "organization = \"x\"",
        "user = \"22222222-*\"",
        "user = \"x\"",
        "changed = [\"b\", \"fax\"]",
        "changed = \"name\"",
        "format = \"json\"",
        "format = [\"xml\"]",
        "partition = 3",
        "partition = [\"0\", 1]",
        "truncated = false",
        "truncated = true",
        "undecodable = false",
        "attribute = { a = 1, b = [1, 2] }",
        "attribute = { donotemail = true }",
        "property = { SOURCE = \"erp\" }",
        "property = { Attempt = 1 }",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn of_what_was_decoded_not_is_the_opposite(
            keys in prop::sample::subsequence(KEY_SAMPLES, 1..4),
        ) {
            let name = |toml: &str| toml.split(' ').next().unwrap().to_owned();
            let mut seen = std::collections::HashSet::new();
            let keys: Vec<&str> = keys.into_iter().filter(|toml| seen.insert(name(toml))).collect();
            let is_alone = keys == ["undecodable = false"];
            prop_assume!(!is_alone);
            let is = of_toml(&keys.join("\n"));
            let is_not = of_toml(&format!("not = {{ {} }}", keys.join(", ")));
            let undecodable = message("?");
            for message in [update(), update_multiple()] {
                prop_assert_ne!(is.matches(&message), is_not.matches(&message));
            }
            prop_assert!(!is.matches(&undecodable));
            prop_assert!(!is_not.matches(&undecodable));
        }

        #[test]
        fn on_a_command_line_not_is_the_opposite(
            key in prop::sample::select(vec!["message", "table", "changed", "attribute.name", "partition", "organization"]),
            value in "[a-z*?0-9]{1,6}",
        ) {
            let is = Filter::parse_where(&format!("{key}={value}")).unwrap();
            let is_not = Filter::parse_where(&format!("{key}!={value}")).unwrap();
            prop_assert_ne!(is.matches(&update()), is_not.matches(&update()));
        }
    }
}
