//! The process: arguments, logging, runtime, exit code; no business word.

fn main() {}
