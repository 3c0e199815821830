//! A handler in Rust: one JSON object a line on stdin, one answer a line on stdout.
//!
//!     handlers:
//!       - {name: audit, command: [./audit], on: [pods]}      # rustc -O -o audit examples/lines/audit.rs
//!
//! Written with the standard library alone, so that `rustc` builds it: it finds the fields of the outer map, and no more.
//! With cargo take serde_json for all of this.

use std::collections::HashMap;
use std::io::{self, BufRead, Write};

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

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let Some(event) = fields(&line) else {
            eprintln!("a line that is no JSON object");
            continue;
        };
        let text = |name: &str| event.get(name).map_or("", |value| value.trim_matches('"'));
        eprintln!("{} {} {}", text("type"), text("resource"), text("key"));
        writeln!(out, "{{\"id\":{},\"ok\":true}}", text("id"))?;
        out.flush()?;
    }
    Ok(())
}
