//! The vocabulary of the story: names and phrases, all invented or Microsoft's own fictitious ones.

/// Companies.
pub(crate) const COMPANIES: &[&str] = &[
    "Contoso",
    "Fabrikam & Sons",
    "Adventure Works",
    "Northwind Traders",
    "Tailspin Toys",
    "Wide World Importers",
    "Litware",
    "Proseware",
    "A. Datum",
    "Coho Vineyard",
    "Trey Research",
    "Alpine Ski House",
    "Margie's Travel",
    "Lucerne Verlag Müller",
    "Humongous Insurance",
    "Woodgrove \"Private\" Bank",
    "Relecloud",
    "Munson's Pickles",
    "見本商事株式会社",
    "Пример-Строй",
    "Ørsager Møbler",
    "Σχολή Παράδειγμα",
];

/// What follows the name of a company.
pub(crate) const COMPANY_FORMS: &[&str] = &[
    "",
    " Ltd",
    " GmbH",
    " AG",
    " S.A.",
    " Inc.",
    " Oy",
    " Group",
    " (North)",
    " Services",
];

/// Given names.
pub(crate) const FIRST_NAMES: &[&str] = &[
    "Anna-Maija",
    "Jürgen",
    "Chloé",
    "Tomás",
    "Aiko",
    "Łucja",
    "Sean",
    "Priya",
    "Zoë",
    "Mårten",
    "Ravi",
    "Ingrid",
    "花子",
    "Дмитро",
    "Marisol",
    "Obi",
    "Leïla",
    "Piet",
];

/// Family names.
pub(crate) const LAST_NAMES: &[&str] = &[
    "Sample",
    "Müller-Muster",
    "O'Example",
    "Mäkelä-Malli",
    "Placeholder",
    "van der Voorbeeld",
    "Ejemplo",
    "Przykład",
    "見本",
    "D'Esempio",
    "Testova",
    "Fictio",
    "Beispiel",
    "Mustermann",
];

/// Places.
pub(crate) const CITIES: &[&str] = &[
    "Zürich",
    "Malmö",
    "København",
    "Lyon",
    "Tampere",
    "Łódź",
    "Seattle",
    "大阪",
    "São Paulo",
    "Reykjavík",
    "Galway",
    "Utrecht",
];

/// Streets.
pub(crate) const STREETS: &[&str] = &[
    "Musterstraße",
    "Example Avenue",
    "Rue de l'Échantillon",
    "Mallikatu",
    "Calle del Ejemplo",
    "Harbour Road",
];

/// What is sold or worked on.
pub(crate) const PRODUCTS: &[&str] = &[
    "forklift battery",
    "solar inverter",
    "coffee roaster",
    "label printer",
    "cargo bike",
    "3/4\" valve kit",
    "cold-chain sensor",
    "warehouse robot",
    "espresso grinder",
    "wind gauge",
];

/// What opportunities and leads are about.
pub(crate) const TOPICS: &[&str] = &[
    "Replacement of every",
    "Interested in the new",
    "Framework agreement:",
    "Trial order:",
    "Renewal with upgrade of the",
    "Large tender <phase 2>:",
    "Second site,",
];

/// What customers complain of.
pub(crate) const COMPLAINTS: &[&str] = &[
    "does not start after the update",
    "was delivered with a scratch",
    "shows error 0x80070005",
    "makes a noise at night",
    "is missing from the invoice",
    "arrived twice 🙂",
    "needs a new certificate",
];

/// What is to be done.
pub(crate) const CHORES: &[&str] = &[
    "Call back about the",
    "Prepare the quote for the",
    "Book a demo of the",
    "Check stock of the",
    "Send the datasheet of the",
    "RE: Question about the",
];

/// Sentences of notes and descriptions.
pub(crate) const SENTENCES: &[&str] = &[
    "Spoke to the plant manager, who wants a second offer before the end of the quarter.",
    "Budget is approved; the contract is with their lawyers.",
    "Prefers to be called in the morning, not on Fridays.",
    "Asked for a discount of 10 % on orders over 50 pieces & free delivery.",
    "See C:\\Shared\\Offers\\2025 and https://intranet.example/offers?id=7&lang=de.",
    "Der Kunde wünscht eine Rückmeldung bis übermorgen.",
    "Rückfrage: gilt die Garantie auch für „Zubehör“?",
    "納期をもう一度ご確認ください。",
    "They compare us with two other suppliers; price < 20 k€ would settle it.",
    "Very happy with the support so far! 👍",
];
