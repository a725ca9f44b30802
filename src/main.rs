//! The binary: tunes the allocator before anything allocates on a second thread, then does what the command
//! line says. Must never hold logic of its own.

fn main() -> std::process::ExitCode {
    outrigger::host::hardening::tune_allocator();
    outrigger::cli::main()
}
