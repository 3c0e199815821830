//! A handler in Rust: one JSON object a line on stdin, one answer a line on stdout.
//!
//!     handlers:
//!       - name: audit
//!         command: [./audit]                                     # rustc -O -o audit examples/lines/audit.rs
//!         on: [{resource: pods, labels: app, changed: .spec}]    # what is not wanted is never sent
//!         workers: 32                                            # so many lines may wait for their answers
//!
//! Each change is appended to $AUDIT_FILE, or goes to stderr, which is the handler's log.
//!
//! Written with the standard library alone, so that `rustc` builds it: it finds the fields of the outer map, and no more.
//! With cargo take serde_json for all of this.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, BufWriter, Write};

/// The fields of the outer map of a JSON object, each as it is written; None for what is none.
fn fields(line: &str) -> Option<HashMap<&str, &str>> {
    let body = line.trim().strip_prefix('{')?.strip_suffix('}')?;
    let (mut found, mut key, mut start) = (HashMap::new(), None, 0);
    let (mut depth, mut in_text, mut is_escaped) = (0i32, false, false);
    for (at, byte) in body.bytes().chain(std::iter::once(b',')).enumerate() {
        if in_text {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b':' if depth == 0 && key.is_none() => {
                key = Some(body[start..at].trim().trim_matches('"'));
                start = at + 1;
            }
            b',' if depth == 0 => {
                found.insert(key.take()?, body[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    Some(found)
}

fn note(text: &str) -> io::Result<()> {
    match std::env::var_os("AUDIT_FILE").filter(|path| !path.is_empty()) {
        Some(path) => writeln!(OpenOptions::new().append(true).create(true).open(path)?, "{text}"),
        None => writeln!(io::stderr(), "{text}"),
    }
}

/// The answer to a line: `{id, ok}`, `{id, error}`, `{id, error, retry_after_s}`, `{id, retry_after_s}`, `{id, dead}`.
fn answer(line: &str) -> Option<String> {
    let event = fields(line)?;
    let text = |name: &str| event.get(name).map_or("", |value| value.trim_matches('"'));
    let id = text("id");
    Some(match note(&format!("{} {} {}", text("type"), text("resource"), text("key"))) {
        Ok(()) => format!("{{\"id\":{id},\"ok\":true}}"),
        // It comes again in five seconds. Without retry_after_s it comes later and later.
        Err(_) => format!("{{\"id\":{id},\"error\":\"the audit file cannot be written\",\"retry_after_s\":5}}"),
    })
}

fn main() -> io::Result<()> {
    let (mut input, mut out) = (BufReader::with_capacity(1 << 16, io::stdin()), BufWriter::new(io::stdout()));
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 {
        match answer(&line) {
            Some(answer) => writeln!(out, "{answer}")?,
            None => eprintln!("a line that is no JSON object"),
        }
        line.clear();
        // A batch: the answers to lines that came together leave together.
        if !input.buffer().contains(&b'\n') {
            out.flush()?;
        }
    }
    Ok(())
}
