//! `schema`: what the documents look like, for programs that read or write them.

use clap::{Args, ValueEnum};

use super::exit::{Exit, Failure};
use super::print;

/// Print the JSON Schema of what is delivered, or of the configuration
#[derive(Debug, Args)]
pub(super) struct Schema {
    /// Which document
    #[arg(value_name = "DOCUMENT", default_value = "context")]
    document: Document,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Document {
    /// The execution context, as `decode` prints it
    Context,
    /// The event with its position and the context in it, as `listen --format json` prints it
    Message,
    /// The configuration file, for editors that complete and check it
    Config,
}

impl Schema {
    pub(super) fn execute(self) -> Result<Exit, Failure> {
        let schema = match self.document {
            Document::Context => crate::context::SCHEMA,
            Document::Message => crate::message::SCHEMA,
            Document::Config => crate::config::SCHEMA,
        };
        print(schema)?;
        Ok(Exit::Fine)
    }
}
