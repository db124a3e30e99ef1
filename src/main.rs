//! The process: arguments, one command, an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    dataverse_listener::cli::main(std::env::args_os())
}
