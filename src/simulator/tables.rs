//! The tables of the simulated organization: Dataverse's own ones and two custom ones.
//!
//! Source: the entity reference of Microsoft's Dataverse documentation for names, types and the
//! numbers of states; the columns with the prefixes `new_` and `cr123_` are invented.

/// A table, as far as the story uses it.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) id: &'static str,
    pub(crate) primary_name: &'static str,
    pub(crate) naming: Naming,
    pub(crate) columns: &'static [Column],
    pub(crate) states: &'static [State],
    pub(crate) images: Images,
    /// How often something happens to it, beside the others.
    pub(crate) weight: u32,
}

impl Table {
    pub(crate) fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// What the primary name of a row is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    Company,
    /// From `firstname` and `lastname`.
    Person,
    Topic,
    Complaint,
    Chore,
    Numbered(&'static str),
}

/// A column besides the ones that every table has.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Of 100 rows, how many have a value.
    pub(crate) filled: u8,
}

/// The type of a column and what its values look like.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Text(&'static [&'static str]),
    Memo,
    Phone,
    Email,
    Website,
    Number(&'static str),
    Int(i32, i32),
    Latitude,
    Decimal(u8),
    /// With the name of the column in the currency of the organization.
    Money(&'static str),
    Bool,
    Choice(Labels),
    Choices(Labels),
    /// A moment within so many days before or after now.
    Moment(i64),
    /// A day up to so many days from now, or ago.
    Day(i64),
    Lookup(&'static [&'static str]),
    Parties(i32),
}

/// The numbers of a choice and their labels.
pub(crate) type Labels = &'static [(i32, &'static str)];

/// A state and the status reasons it may have.
pub(crate) type State = (i32, &'static str, Labels);

/// Which images the steps on a table ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Images {
    None,
    Before,
    BeforeAndAfter,
}

/// A relationship that rows are put into and taken out of.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) schema_name: &'static str,
    pub(crate) table: &'static str,
    pub(crate) related: &'static str,
    /// Where the two ends must be told apart: is the table the one that is looked up?
    pub(crate) is_referenced: Option<bool>,
}

/// The relationships of the story.
pub(crate) const LINKS: &[Link] = &[
    link("accountleads_association", "account", "lead", None),
    link("contactleads_association", "contact", "lead", None),
    link(
        "contact_customer_accounts",
        "account",
        "contact",
        Some(true),
    ),
    link("cr123_project_contact", "cr123_project", "contact", None),
    link(
        "new_contact_contact_deputies",
        "contact",
        "contact",
        Some(false),
    ),
];

/// Every table of the story.
pub(crate) const TABLES: &[Table] = &[
    ACCOUNT,
    CONTACT,
    LEAD,
    OPPORTUNITY,
    INCIDENT,
    TASK,
    EMAIL,
    PROJECT,
    INSPECTION,
];

const ACCOUNT: Table = Table {
    name: "account",
    id: "accountid",
    primary_name: "name",
    naming: Naming::Company,
    columns: &[
        column("accountnumber", Kind::Number("A-"), 90),
        column("telephone1", Kind::Phone, 80),
        column("emailaddress1", Kind::Email, 60),
        column("websiteurl", Kind::Website, 60),
        column("revenue", Kind::Money("revenue_base"), 60),
        column("numberofemployees", Kind::Int(1, 9_000), 60),
        column("industrycode", Kind::Choice(INDUSTRIES), 70),
        column("creditonhold", Kind::Bool, 100),
        column("address1_line1", Kind::Text(super::words::STREETS), 70),
        column("address1_city", Kind::Text(super::words::CITIES), 80),
        column("address1_latitude", Kind::Latitude, 30),
        column("new_regions", Kind::Choices(REGIONS), 50),
        column("primarycontactid", Kind::Lookup(&["contact"]), 60),
        column("parentaccountid", Kind::Lookup(&["account"]), 20),
        column("description", Kind::Memo, 40),
        column("lastusedincampaign", Kind::Day(-60), 20),
    ],
    states: ACTIVE_INACTIVE,
    images: Images::BeforeAndAfter,
    weight: 20,
};

const CONTACT: Table = Table {
    name: "contact",
    id: "contactid",
    primary_name: "fullname",
    naming: Naming::Person,
    columns: &[
        column("firstname", Kind::Text(super::words::FIRST_NAMES), 100),
        column("lastname", Kind::Text(super::words::LAST_NAMES), 100),
        column("jobtitle", Kind::Text(JOBS), 70),
        column("emailaddress1", Kind::Email, 90),
        column("telephone1", Kind::Phone, 60),
        column("mobilephone", Kind::Phone, 60),
        column("birthdate", Kind::Day(-20_000), 20),
        column(
            "parentcustomerid",
            Kind::Lookup(&["account", "contact"]),
            80,
        ),
        column("donotbulkemail", Kind::Bool, 100),
        column(
            "preferredcontactmethodcode",
            Kind::Choice(CONTACT_METHODS),
            100,
        ),
        column("address1_city", Kind::Text(super::words::CITIES), 60),
    ],
    states: ACTIVE_INACTIVE,
    images: Images::Before,
    weight: 20,
};

const LEAD: Table = Table {
    name: "lead",
    id: "leadid",
    primary_name: "subject",
    naming: Naming::Topic,
    columns: &[
        column("companyname", Kind::Text(super::words::COMPANIES), 90),
        column("firstname", Kind::Text(super::words::FIRST_NAMES), 90),
        column("lastname", Kind::Text(super::words::LAST_NAMES), 100),
        column("emailaddress1", Kind::Email, 70),
        column("leadqualitycode", Kind::Choice(RATINGS), 100),
        column("budgetamount", Kind::Money("budgetamount_base"), 40),
        column("estimatedclosedate", Kind::Day(120), 40),
        column("decisionmaker", Kind::Bool, 100),
    ],
    states: &[
        (0, "Open", &[(1, "New"), (2, "Contacted")]),
        (1, "Qualified", &[(3, "Qualified")]),
        (
            2,
            "Disqualified",
            &[(4, "Lost"), (5, "Cannot Contact"), (7, "Canceled")],
        ),
    ],
    images: Images::Before,
    weight: 12,
};

const OPPORTUNITY: Table = Table {
    name: "opportunity",
    id: "opportunityid",
    primary_name: "name",
    naming: Naming::Topic,
    columns: &[
        column("customerid", Kind::Lookup(&["account", "contact"]), 100),
        column("estimatedvalue", Kind::Money("estimatedvalue_base"), 90),
        column("estimatedclosedate", Kind::Day(200), 80),
        column("closeprobability", Kind::Int(1, 100), 80),
        column("opportunityratingcode", Kind::Choice(RATINGS), 100),
        column("salesstage", Kind::Choice(SALES_STAGES), 100),
        column("isrevenuesystemcalculated", Kind::Bool, 100),
        column("discountpercentage", Kind::Decimal(2), 30),
        column("originatingleadid", Kind::Lookup(&["lead"]), 40),
        column("currentsituation", Kind::Memo, 50),
        column("proposedsolution", Kind::Memo, 30),
    ],
    states: &[
        (0, "Open", &[(1, "In Progress"), (2, "On Hold")]),
        (1, "Won", &[(3, "Won")]),
        (2, "Lost", &[(4, "Canceled"), (5, "Out-Sold")]),
    ],
    images: Images::BeforeAndAfter,
    weight: 15,
};

const INCIDENT: Table = Table {
    name: "incident",
    id: "incidentid",
    primary_name: "title",
    naming: Naming::Complaint,
    columns: &[
        column("ticketnumber", Kind::Number("CAS-"), 100),
        column("customerid", Kind::Lookup(&["account", "contact"]), 100),
        column("prioritycode", Kind::Choice(PRIORITIES), 100),
        column("caseorigincode", Kind::Choice(ORIGINS), 90),
        column("escalatedon", Kind::Moment(5), 20),
        column("isescalated", Kind::Bool, 100),
        column("followupby", Kind::Day(14), 50),
        column("description", Kind::Memo, 80),
        column("cr123_symptoms", Kind::Choices(SYMPTOMS), 50),
        column("cr123_downtimehours", Kind::Decimal(1), 40),
    ],
    states: &[
        (
            0,
            "Active",
            &[
                (1, "In Progress"),
                (2, "On Hold"),
                (3, "Waiting for Details"),
            ],
        ),
        (
            1,
            "Resolved",
            &[(5, "Problem Solved"), (1_000, "Information Provided")],
        ),
        (2, "Cancelled", &[(6, "Cancelled"), (2_000, "Merged")]),
    ],
    images: Images::Before,
    weight: 18,
};

const TASK: Table = Table {
    name: "task",
    id: "activityid",
    primary_name: "subject",
    naming: Naming::Chore,
    columns: &[
        column(
            "regardingobjectid",
            Kind::Lookup(&["account", "opportunity", "incident"]),
            80,
        ),
        column("scheduledend", Kind::Moment(30), 80),
        column("prioritycode", Kind::Choice(PRIORITIES), 100),
        column("percentcomplete", Kind::Int(0, 100), 60),
        column("actualdurationminutes", Kind::Int(5, 480), 50),
        column("description", Kind::Memo, 50),
    ],
    states: ACTIVITY_STATES,
    images: Images::None,
    weight: 12,
};

const EMAIL: Table = Table {
    name: "email",
    id: "activityid",
    primary_name: "subject",
    naming: Naming::Chore,
    columns: &[
        column("from", Kind::Parties(1), 100),
        column("to", Kind::Parties(2), 100),
        column("cc", Kind::Parties(3), 30),
        column(
            "regardingobjectid",
            Kind::Lookup(&["incident", "lead", "account"]),
            70,
        ),
        column("directioncode", Kind::Bool, 100),
        column("description", Kind::Memo, 100),
        column("attachmentcount", Kind::Int(0, 4), 100),
    ],
    states: ACTIVITY_STATES,
    images: Images::Before,
    weight: 8,
};

const PROJECT: Table = Table {
    name: "cr123_project",
    id: "cr123_projectid",
    primary_name: "cr123_name",
    naming: Naming::Numbered("PRJ-"),
    columns: &[
        column("cr123_customer", Kind::Lookup(&["account"]), 90),
        column("cr123_opportunity", Kind::Lookup(&["opportunity"]), 50),
        column("cr123_budget", Kind::Money("cr123_budget_base"), 80),
        column("cr123_progress", Kind::Decimal(4), 80),
        column("cr123_phase", Kind::Choice(PHASES), 100),
        column("cr123_regions", Kind::Choices(REGIONS), 60),
        column("cr123_start", Kind::Day(90), 80),
        column("cr123_golive", Kind::Moment(200), 60),
        column("cr123_isconfidential", Kind::Bool, 100),
        column("cr123_notes", Kind::Memo, 60),
    ],
    states: ACTIVE_INACTIVE,
    images: Images::BeforeAndAfter,
    weight: 8,
};

const INSPECTION: Table = Table {
    name: "new_inspection",
    id: "new_inspectionid",
    primary_name: "new_name",
    naming: Naming::Numbered("INS-"),
    columns: &[
        column("new_site", Kind::Lookup(&["account"]), 90),
        column("new_temperature", Kind::Decimal(3), 100),
        column("new_latitude", Kind::Latitude, 60),
        column("new_readings", Kind::Int(1, 100_000), 100),
        column("new_passed", Kind::Bool, 100),
        column("new_takenon", Kind::Moment(2), 100),
        column("new_findings", Kind::Choices(SYMPTOMS), 50),
        column("new_remark", Kind::Memo, 30),
    ],
    states: ACTIVE_INACTIVE,
    images: Images::Before,
    weight: 7,
};

const ACTIVE_INACTIVE: &[State] = &[
    (0, "Active", &[(1, "Active")]),
    (1, "Inactive", &[(2, "Inactive")]),
];

const ACTIVITY_STATES: &[State] = &[
    (
        0,
        "Open",
        &[
            (2, "Not Started"),
            (3, "In Progress"),
            (4, "Waiting on someone else"),
        ],
    ),
    (1, "Completed", &[(5, "Completed")]),
    (2, "Canceled", &[(6, "Canceled")]),
];

const INDUSTRIES: Labels = &[
    (1, "Accounting"),
    (7, "Consulting"),
    (12, "Equipment Rental"),
    (342_490_000, "Kite Making"),
    (342_490_001, "Cold Chain"),
];
const REGIONS: Labels = &[
    (100_000_000, "North"),
    (100_000_001, "South"),
    (100_000_002, "East"),
    (100_000_003, "West"),
];
const RATINGS: Labels = &[(1, "Hot"), (2, "Warm"), (3, "Cold")];
const SALES_STAGES: Labels = &[(0, "Qualify"), (1, "Develop"), (2, "Propose"), (3, "Close")];
const PRIORITIES: Labels = &[(1, "High"), (2, "Normal"), (3, "Low")];
const ORIGINS: Labels = &[(1, "Phone"), (2, "Email"), (3, "Web")];
const CONTACT_METHODS: Labels = &[
    (1, "Any"),
    (2, "Email"),
    (3, "Phone"),
    (4, "Fax"),
    (5, "Mail"),
];
const SYMPTOMS: Labels = &[
    (778_390_000, "Noise"),
    (778_390_001, "Leak"),
    (778_390_002, "No power"),
    (778_390_003, "Übertemperatur"),
];
const PHASES: Labels = &[
    (778_390_000, "Idea"),
    (778_390_001, "Pilot"),
    (778_390_002, "Rollout"),
    (778_390_003, "Done"),
];
const JOBS: &[&str] = &[
    "Purchasing Manager",
    "Geschäftsführerin",
    "Plant Engineer",
    "CTO",
    "Accountant",
    "部長",
];

const fn column(name: &'static str, kind: Kind, filled: u8) -> Column {
    Column { name, kind, filled }
}

const fn link(
    schema_name: &'static str,
    table: &'static str,
    related: &'static str,
    is_referenced: Option<bool>,
) -> Link {
    Link {
        schema_name,
        table,
        related,
        is_referenced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lookup_and_link_names_a_table() {
        let is_table = |name: &&str| TABLES.iter().any(|table| table.name == *name);
        for column in TABLES.iter().flat_map(|table| table.columns) {
            if let Kind::Lookup(targets) = column.kind {
                assert!(targets.iter().all(is_table), "{}", column.name);
            }
        }
        for link in LINKS {
            assert!(
                is_table(&link.table) && is_table(&link.related),
                "{}",
                link.schema_name
            );
        }
    }

    #[test]
    fn every_state_has_a_status_reason() {
        for (_, label, reasons) in TABLES.iter().flat_map(|table| table.states) {
            assert!(!reasons.is_empty(), "{label}");
        }
    }
}
