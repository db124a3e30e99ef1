//! The process: arguments, one command, an exit code.

use std::process::ExitCode;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    dataverse_listener::cli::main(std::env::args_os())
}
