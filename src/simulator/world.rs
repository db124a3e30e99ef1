//! The organization that the story is about: its people, its clock, its rows and its dice.

use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::contract::{Decimal, EntityReference, Guid, Layout};
use super::row::Row;
use super::tables::{TABLES, Table};

/// Where every story starts, so that the same seed gives the same bytes on any day.
pub(crate) const START: OffsetDateTime = datetime!(2025-03-03 07:30 UTC);

/// Rows beyond this number are forgotten: a story has no end, memory has.
const MOST_ROWS: usize = 400;

/// 100 ns intervals from 1582-10-15, where the clock of guids starts, to 1970.
const GUID_CLOCK_AT_UNIX_EPOCH: i64 = 122_192_928_000_000_000;

/// Everything that the next event depends on.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) dice: fastrand::Rng,
    pub(crate) organization: Organization,
    pub(crate) rows: Vec<Row>,
    /// Who causes what happens now.
    pub(crate) caller: User,
    now: OffsetDateTime,
    guid_clock: i64,
    guid_node: u64,
    version: i64,
    steps: Vec<(&'static str, &'static str, Guid)>,
}

/// What stays the same through a story.
#[derive(Debug)]
pub(crate) struct Organization {
    pub(crate) id: Guid,
    pub(crate) name: String,
    /// The host of its web address, lower case.
    pub(crate) host: &'static str,
    pub(crate) layout: Layout,
    /// The endpoint's UserClaim setting is not "None".
    pub(crate) tells_users: bool,
    pub(crate) users: Vec<User>,
    pub(crate) teams: Vec<EntityReference>,
    pub(crate) currencies: Vec<Currency>,
}

/// Somebody who calls Dataverse.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) reference: EntityReference,
    pub(crate) azure_id: Guid,
    pub(crate) business_unit: EntityReference,
    pub(crate) agent: &'static str,
}

/// A currency and its rate against that of the organization.
#[derive(Debug, Clone)]
pub(crate) struct Currency {
    pub(crate) reference: EntityReference,
    pub(crate) rate: Decimal,
}

impl World {
    pub(crate) fn new(seed: u64, start: OffsetDateTime) -> Self {
        let mut world = Self {
            dice: fastrand::Rng::with_seed(seed),
            organization: Organization::default(),
            rows: Vec::new(),
            caller: User::nobody(),
            now: start.replace_nanosecond(0).unwrap_or(start),
            guid_clock: 0,
            guid_node: 0,
            version: 4_000_000,
            steps: Vec::new(),
        };
        world.guid_node = world
            .dice
            .u64(0x8000_000d_3a00_0000..=0xbfff_000d_3aff_ffff);
        world.guid_node = world.guid_node & 0xffff_0000_00ff_ffff | 0x000d_3a00_0000;
        world.organization = Organization::found(&mut world);
        for table in TABLES.iter().chain(TABLES) {
            world.caller = world.user();
            let row = Row::draw(table, &mut world);
            world.keep(row);
        }
        world
    }

    /// Now, in whole seconds.
    pub(crate) fn now(&self) -> OffsetDateTime {
        self.now
    }

    /// Lets some seconds pass, after which somebody does something.
    pub(crate) fn turn(&mut self) {
        let seconds = self.dice.i64(0..9);
        self.now = self.now.saturating_add(Duration::seconds(seconds));
        self.caller = self.user();
    }

    /// A guid as SQL Server's `NEWSEQUENTIALID` makes them: the clock first, its bytes swapped.
    pub(crate) fn sequential_guid(&mut self) -> Guid {
        let clock = self.now.unix_timestamp() * 10_000_000 + GUID_CLOCK_AT_UNIX_EPOCH;
        let later = self.guid_clock + self.dice.i64(1..4_000);
        self.guid_clock = clock.max(later);
        let ticks = self.guid_clock.to_be_bytes();
        let low = [ticks[7], ticks[6], ticks[5], ticks[4]];
        let middle = [ticks[3], ticks[2]];
        let high = [ticks[1], ticks[0] & 0x0f | 0x10];
        let node = self.guid_node.to_be_bytes();
        let [a, b, c, d] = low;
        let [e, f] = middle;
        let [g, h] = high;
        let [i, j, k, l, m, n, o, p] = node;
        Guid(u128::from_be_bytes([
            a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p,
        ]))
    }

    /// A random guid of version 4.
    pub(crate) fn random_guid(&mut self) -> Guid {
        let bits = self.dice.u128(..);
        let versioned = bits & !(0xf << 76) | 4 << 76;
        Guid(versioned & !(0x3 << 62) | 2 << 62)
    }

    /// The next `versionnumber` of the database.
    pub(crate) fn next_version(&mut self) -> i64 {
        self.version += self.dice.i64(1..12);
        self.version
    }

    pub(crate) fn chance(&mut self, percent: u8) -> bool {
        self.dice.u8(0..100) < percent
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.dice.usize(..from.len())].clone()
    }

    pub(crate) fn user(&mut self) -> User {
        let number = self.dice.usize(..self.organization.users.len());
        self.organization.users[number].clone()
    }

    pub(crate) fn currency(&mut self) -> Currency {
        let number = self.dice.usize(..self.organization.currencies.len());
        self.organization.currencies[number].clone()
    }

    /// A table, the busier the likelier.
    pub(crate) fn table(&mut self) -> &'static Table {
        let total = TABLES.iter().map(|table| table.weight).sum();
        let mut left = self.dice.u32(0..total);
        TABLES
            .iter()
            .find(|table| match left.checked_sub(table.weight) {
                Some(rest) => {
                    left = rest;
                    false
                }
                None => true,
            })
            .unwrap_or(&TABLES[0])
    }

    /// Any row, by its place.
    pub(crate) fn row(&mut self) -> usize {
        let table = self.table();
        self.row_of(table.name)
    }

    /// A row of one table, by its place. Where none is left, one turns up that was there before.
    pub(crate) fn row_of(&mut self, table_name: &str) -> usize {
        self.existing_row_of(table_name).unwrap_or_else(|| {
            let table = TABLES
                .iter()
                .find(|table| table.name == table_name)
                .unwrap_or(&TABLES[0]);
            let row = Row::draw(table, self);
            self.keep(row)
        })
    }

    /// A row of one table, by its place, if there is any.
    pub(crate) fn existing_row_of(&mut self, table_name: &str) -> Option<usize> {
        let is_of_table = |row: &&Row| row.table.name == table_name;
        let count = self.rows.iter().filter(is_of_table).count();
        let nth = self.dice.usize(..count.max(1));
        let places = self.rows.iter().enumerate();
        places
            .filter(|(_, row)| is_of_table(row))
            .nth(nth)
            .map(|(place, _)| place)
    }

    /// Adds a row and tells its place.
    pub(crate) fn keep(&mut self, row: Row) -> usize {
        if self.rows.len() >= MOST_ROWS {
            let forgotten = self.dice.usize(..self.rows.len());
            self.rows[forgotten] = row;
            return forgotten;
        }
        self.rows.push(row);
        self.rows.len() - 1
    }

    /// The step that is registered on a message of a table: always the same one.
    pub(crate) fn step(&mut self, message_name: &'static str, table_name: &'static str) -> Guid {
        let found = self
            .steps
            .iter()
            .find(|(message, table, _)| *message == message_name && *table == table_name);
        if let Some((_, _, step)) = found {
            return *step;
        }
        let step = self.sequential_guid();
        self.steps.push((message_name, table_name, step));
        step
    }
}

impl Organization {
    fn found(world: &mut World) -> Self {
        let id = world.random_guid();
        let hosts = [
            "contoso-sales.crm4.example",
            "fabrikam.crm.example",
            "tailspin-uat.crm11.example",
        ];
        let units = ["Contoso EMEA", "Contoso Americas"]
            .map(|name| EntityReference::new("businessunit", world.sequential_guid()).named(name));
        Self {
            id,
            name: format!("unq{}", id.to_string().replace('-', ""))[..31].to_owned(),
            host: world.pick(&hosts),
            layout: world.pick(&LAYOUTS),
            tells_users: world.dice.bool(),
            users: USERS
                .iter()
                .map(|(name, agent)| User::hire(name, agent, &units, world))
                .collect(),
            teams: ["Tier 2", "Field Service Süd"]
                .map(|name| EntityReference::new("team", world.sequential_guid()).named(name))
                .into(),
            currencies: [("Euro", 10_000_000_000), ("US Dollar", 10_845_000_000)]
                .map(|(name, digits)| Currency {
                    reference: EntityReference::new("transactioncurrency", world.sequential_guid())
                        .named(name),
                    rate: Decimal { digits, scale: 10 },
                })
                .into(),
        }
    }
}

/// An empty one, until the real one is founded.
impl Default for Organization {
    fn default() -> Self {
        Self {
            id: Guid::ZERO,
            name: String::new(),
            host: "",
            layout: Layout::Current,
            tells_users: false,
            users: Vec::new(),
            teams: Vec::new(),
            currencies: Vec::new(),
        }
    }
}

impl User {
    /// The caller before there are users.
    fn nobody() -> Self {
        Self {
            reference: EntityReference::new("systemuser", Guid::ZERO),
            azure_id: Guid::ZERO,
            business_unit: EntityReference::new("businessunit", Guid::ZERO),
            agent: "",
        }
    }

    fn hire(
        name: &'static str,
        agent: &'static str,
        units: &[EntityReference],
        world: &mut World,
    ) -> Self {
        Self {
            reference: EntityReference::new("systemuser", world.sequential_guid()).named(name),
            azure_id: world.random_guid(),
            business_unit: world.pick(units),
            agent,
        }
    }
}

/// Most organizations are online and up to date.
const LAYOUTS: [Layout; 6] = [
    Layout::Current,
    Layout::Current,
    Layout::Current,
    Layout::Current,
    Layout::BeforeUserAgent,
    Layout::BeforeAzureIds,
];

const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0";

const USERS: &[(&str, &str)] = &[
    ("Erika Mustermann", BROWSER),
    ("Jan Voorbeeld", BROWSER),
    ("Ола Приклад", BROWSER),
    ("Sample Sales Assistant", ""),
    (
        "# WarehouseSync",
        "WarehouseSync (DataverseSvcClient:1.1.0.11)",
    ),
    ("# Portal", "ExamplePortal (DataverseSvcClient:1.1.32.4827)"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequential_guids_are_told_apart_and_carry_the_clock() {
        let mut world = World::new(1, START);
        let guids: Vec<String> = (0..100)
            .map(|_| world.sequential_guid().to_string())
            .collect();
        let mut distinct = guids.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), guids.len());
        assert!(
            guids
                .iter()
                .all(|guid| guid[14..18] == *"ef11" || guid[14..18] == *"f011")
        );
        assert!(
            guids.iter().all(|guid| guid[24..30] == *"000d3a"),
            "{}",
            guids[0]
        );
    }

    #[test]
    fn random_guids_are_of_version_4() {
        let mut world = World::new(1, START);
        let guid = world.random_guid().to_string();
        assert_eq!(&guid[14..15], "4");
        assert!("89ab".contains(&guid[19..20]), "{guid}");
    }

    #[test]
    fn the_rows_are_bounded() {
        let mut world = World::new(1, START);
        for _ in 0..1_000 {
            let row = Row::draw(&TABLES[0], &mut world);
            world.keep(row);
        }
        assert_eq!(world.rows.len(), MOST_ROWS);
    }
}
