//! A row of a table: drawn by the dice, changed by them, and shown as messages and images show it.

use super::contract::{Bag, Date, Entity, EntityReference, Guid, Text, Value};
use super::tables::{Column, Kind, Naming, Table};
use super::values::{draw_value, in_base_currency, primary_name};
use super::world::{Currency, World};

/// So often a column is drawn until its value is another one than before.
const MOST_THROWS: usize = 4;

/// A row with all its columns that have a value.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) table: &'static Table,
    pub(crate) id: Guid,
    pub(crate) version: i64,
    values: Bag,
}

impl Row {
    /// A new row of `table`, of an owner among the users.
    pub(crate) fn draw(table: &'static Table, world: &mut World) -> Self {
        let mut row = Self {
            table,
            id: world.sequential_guid(),
            version: world.next_version(),
            values: Vec::new(),
        };
        row.set(table.id, Value::Guid(row.id));
        for column in table.columns {
            if world.chance(column.filled) {
                row.draw_column(column, world);
            }
        }
        if table.naming == Naming::Person {
            row.name_person();
        } else {
            let name = primary_name(table.naming, world);
            row.set(table.primary_name, Value::Text(name.into()));
        }
        row.set_system_columns(world);
        row
    }

    /// Draws a few columns anew and tells which: what an Update of this row sends.
    pub(crate) fn change(&mut self, world: &mut World) -> Vec<&'static str> {
        let mut changed = Vec::new();
        let is_variable = |column: &&Column| !matches!(column.kind, Kind::Number(_));
        let columns: Vec<&Column> = self.table.columns.iter().filter(is_variable).collect();
        for _ in 0..world.dice.usize(1..=4) {
            let column = world.pick(&columns);
            if !changed.contains(&column.name) {
                changed.push(column.name);
                self.change_column(column, world);
            }
        }
        self.version = world.next_version();
        changed
    }

    /// The columns that the pipeline adds to the ones a caller changed.
    pub(crate) fn consequences(&self, changed: &[&'static str]) -> Vec<&'static str> {
        let mut more = Vec::new();
        for name in changed {
            if let Some(Kind::Money(base)) = self.table.column(name).map(|column| column.kind) {
                more.extend([base, "transactioncurrencyid", "exchangerate"]);
            }
        }
        if self.table.naming == Naming::Person && changed.iter().any(|name| name.ends_with("tname"))
        {
            more.extend([self.table.primary_name, "yomifullname"]);
        }
        more.sort_unstable();
        more.dedup();
        more
    }

    pub(crate) fn name(&self) -> Text {
        match self.get(self.table.primary_name) {
            Some(Value::Text(name)) => name.clone(),
            _ => "".into(),
        }
    }

    /// A reference as callers send it: without a name.
    pub(crate) fn reference(&self) -> EntityReference {
        EntityReference::new(self.table.name, self.id)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.values
            .iter()
            .find_map(|(key, value)| (*key == name).then_some(value))
    }

    pub(crate) fn set(&mut self, name: &'static str, value: Value) {
        match self.values.iter_mut().find(|(key, _)| *key == name) {
            Some((_, old)) => *old = value,
            None => self.values.push((name, value)),
        }
    }

    /// The named columns as a Target holds them: cleared ones null, lookups without names.
    pub(crate) fn attributes(&self, names: &[&'static str]) -> Bag {
        let value = |name| self.get(name).map_or(Value::Null, unnamed);
        names.iter().map(|name| (*name, value(name))).collect()
    }

    /// Every column that is not the system's, in the order of the table.
    pub(crate) fn own_columns(&self) -> Vec<&'static str> {
        let filled = |name: &&'static str| self.get(name).is_some();
        let columns = self.table.columns.iter().map(|column| column.name);
        let name = (self.table.naming != Naming::Person).then_some(self.table.primary_name);
        name.into_iter().chain(columns).filter(filled).collect()
    }

    /// Every column that has a value.
    pub(crate) fn all_columns(&self) -> Vec<&'static str> {
        self.values.iter().map(|(name, _)| *name).collect()
    }

    /// What a registered image shows: the columns that have a value, in alphabetical order, with
    /// their formatted values and the names of the rows they point to.
    pub(crate) fn image(&self) -> Entity {
        let mut attributes = self.values.clone();
        attributes.retain(|(_, value)| !matches!(value, Value::Null));
        attributes.push(("versionnumber", Value::Long(self.version)));
        attributes.sort_unstable_by_key(|(name, _)| *name);
        let mut image = Entity::new(self.table.name, self.id, attributes);
        image.formatted_values = self.formatted_values(&image.attributes);
        image
    }

    /// The image that asynchronous steps get unasked: id and name.
    pub(crate) fn name_image(&self) -> Entity {
        let name = (self.table.primary_name, Value::Text(self.name()));
        Entity::new(
            self.table.name,
            self.id,
            vec![name, (self.table.id, Value::Guid(self.id))],
        )
    }

    /// The labels and localized texts of those columns that have any.
    pub(crate) fn formatted_values(&self, attributes: &Bag) -> Vec<(&'static str, Option<Text>)> {
        let text = |(name, value): &(&'static str, Value)| {
            self.formatted(name, value).map(|text| (*name, Some(text)))
        };
        attributes.iter().filter_map(text).collect()
    }

    fn draw_column(&mut self, column: &Column, world: &mut World) {
        let value = draw_value(column.kind, self.table.name, world);
        if let (Kind::Money(base), Value::Money(amount)) = (column.kind, &value) {
            let currency = self.currency(world);
            self.set(base, Value::Money(in_base_currency(*amount, &currency)));
            self.set(
                "transactioncurrencyid",
                Value::EntityReference(currency.reference),
            );
            self.set("exchangerate", Value::Decimal(currency.rate));
        }
        self.set(column.name, value);
    }

    fn change_column(&mut self, column: &Column, world: &mut World) {
        let old = self.get(column.name).cloned().unwrap_or(Value::Null);
        let is_clearable = column.filled < 100 && old != Value::Null;
        if is_clearable && world.chance(12) {
            self.set(column.name, Value::Null);
            if let Kind::Money(base) = column.kind {
                self.set(base, Value::Null);
            }
            return;
        }
        for _ in 0..MOST_THROWS {
            self.draw_column(column, world);
            if self.get(column.name) != Some(&old) {
                break;
            }
        }
        if self.table.naming == Naming::Person && column.name.ends_with("tname") {
            self.name_person();
        }
    }

    fn name_person(&mut self) {
        let name = self.person_name();
        self.set("yomifullname", Value::Text(name.clone()));
        self.set(self.table.primary_name, Value::Text(name));
    }

    fn set_system_columns(&mut self, world: &World) {
        let user = world.caller.clone();
        let now = Value::Date(Date::Utc(world.now()));
        let by = Value::EntityReference(user.reference);
        let (state, _, reasons) = self.table.states[0];
        let (reason, _) = reasons[0];
        self.set("createdon", now.clone());
        self.set("createdby", by.clone());
        self.set("modifiedon", now);
        self.set("modifiedby", by.clone());
        self.set("modifiedonbehalfby", Value::Null);
        self.set("ownerid", by.clone());
        self.set("owninguser", by);
        self.set(
            "owningbusinessunit",
            Value::EntityReference(user.business_unit),
        );
        self.set("statecode", Value::Choice(state));
        self.set("statuscode", Value::Choice(reason));
        self.set("timezoneruleversionnumber", Value::Int(4));
    }

    /// The currency of the row, or one that it gets now.
    fn currency(&self, world: &mut World) -> Currency {
        let currency = world.currency();
        let Some(Value::EntityReference(current)) = self.get("transactioncurrencyid") else {
            return currency;
        };
        let same = |candidate: &&Currency| candidate.reference.id == current.id;
        world
            .organization
            .currencies
            .iter()
            .find(same)
            .cloned()
            .unwrap_or(currency)
    }

    fn person_name(&self) -> Text {
        let part = |name| match self.get(name) {
            Some(Value::Text(text)) => text.as_ref(),
            _ => "",
        };
        format!("{} {}", part("firstname"), part("lastname")).into()
    }
}

/// The same value with the names of lookups left out, as callers and the pipeline do.
fn unnamed(value: &Value) -> Value {
    match value {
        Value::EntityReference(reference) => {
            Value::EntityReference(EntityReference::new(reference.logical_name, reference.id))
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::tables::TABLES;
    use crate::simulator::world::START;

    #[test]
    fn money_comes_with_its_base_amount_and_currency() {
        let mut world = World::new(3, START);
        for _ in 0..20 {
            let row = Row::draw(&TABLES[0], &mut world);
            assert_eq!(
                row.get("revenue").is_some(),
                row.get("revenue_base").is_some()
            );
            assert_eq!(
                row.get("revenue").is_some(),
                row.get("transactioncurrencyid").is_some()
            );
        }
    }

    #[test]
    fn an_image_is_alphabetical_and_has_no_nulls() {
        let mut world = World::new(4, START);
        for table in TABLES {
            let mut row = Row::draw(table, &mut world);
            row.change(&mut world);
            let image = row.image();
            assert!(
                image.attributes.is_sorted_by_key(|(name, _)| *name),
                "{}",
                table.name
            );
            assert!(
                image
                    .attributes
                    .iter()
                    .all(|(_, value)| !matches!(value, Value::Null))
            );
        }
    }
}
