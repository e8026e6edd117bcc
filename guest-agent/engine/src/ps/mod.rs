//! What `top` shows: the processes of a container as `ps` would print them, read from `/proc`.
//!
//! Docker runs the host's `ps` for this; the engine starts no program, so the common forms of its arguments are
//! understood here: `-ef` (the default), `aux`, and `-o` with a list of columns.
//!
//! Start at [`table`].

mod column;
mod process;

use column::Column;
use process::Facts;
pub(crate) use process::Process;

/// Titles and one row a process.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    /// The head line.
    pub titles: Vec<String>,
    /// As many cells as titles.
    pub rows: Vec<Vec<String>>,
}

/// Why `ps` arguments were refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum BadArguments {
    /// An option that is not one of the understood forms.
    #[error(
        "ps argument {0:?} is not supported: use -ef, aux, or -o with a list of columns (pid,user,args,…)"
    )]
    Unsupported(String),
    /// A column there is no name for.
    #[error("unknown user-defined format specifier \"{0}\"")]
    Column(String),
    /// A list without the pid, which clients look rows up by.
    #[error("Couldn't find PID field in ps output")]
    NoPid,
}

/// The processes with these pids, as `ps arguments` shows them. One that is gone meanwhile is left out.
pub(crate) fn table(pids: &[u32], arguments: &str) -> Result<Table, BadArguments> {
    let columns = parse(arguments)?;
    let facts = Facts::read();
    let mut pids = pids.to_vec();
    pids.sort_unstable();
    let processes: Vec<Process> = pids.iter().filter_map(|pid| Process::read(*pid)).collect();
    Ok(Table {
        titles: columns
            .iter()
            .map(|column| column.title().to_owned())
            .collect(),
        rows: processes
            .iter()
            .map(|process| {
                columns
                    .iter()
                    .map(|column| column.cell(process, &facts))
                    .collect()
            })
            .collect(),
    })
}

/// Which columns the arguments ask for.
fn parse(arguments: &str) -> Result<Vec<Column>, BadArguments> {
    let mut lists: Vec<Column> = Vec::new();
    let mut style: &[Column] = &column::FULL;
    let mut words = arguments.split_whitespace();
    while let Some(word) = words.next() {
        let letters = word.trim_start_matches('-');
        let bad = || BadArguments::Unsupported(word.to_owned());
        if let Some(list) = word.strip_prefix("--format=") {
            lists.extend(column_list(list)?);
            continue;
        }
        // `-eo pid,args`, `-opid` and `o pid`: what follows the `o` is the list, in the same word or the next.
        if let Some(at) = letters.find('o') {
            let (before, list) = letters.split_at(at);
            let list = &list[1..];
            if !before.chars().all(|letter| "eAax".contains(letter)) {
                return Err(bad());
            }
            let list = if list.is_empty() {
                words.next().ok_or_else(bad)?
            } else {
                list
            };
            lists.extend(column_list(list)?);
            continue;
        }
        if letters.is_empty() || !letters.chars().all(|letter| "eAfFlauxw".contains(letter)) {
            return Err(bad());
        }
        if letters.contains('u') {
            style = &column::USER;
        } else if !letters.contains('f') {
            style = &column::SHORT;
        }
    }
    if lists.is_empty() {
        return Ok(style.to_vec());
    }
    if !lists.iter().any(|column| matches!(column, Column::Pid)) {
        return Err(BadArguments::NoPid);
    }
    Ok(lists)
}

fn column_list(text: &str) -> Result<Vec<Column>, BadArguments> {
    text.split(',')
        .map(|name| column::named(name).ok_or_else(|| BadArguments::Column(name.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(arguments: &str) -> String {
        match table(&[std::process::id()], arguments) {
            Ok(table) => {
                assert!(table.rows.iter().all(|row| row.len() == table.titles.len()));
                table.titles.join(" ")
            }
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn the_usual_forms_are_understood() {
        assert_eq!(titles(""), "UID PID PPID C STIME TTY TIME CMD");
        assert_eq!(titles("-ef"), "UID PID PPID C STIME TTY TIME CMD");
        assert_eq!(
            titles("aux"),
            "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"
        );
        assert_eq!(titles("-eo pid,comm"), "PID COMMAND");
        assert_eq!(titles("-o pid -o args"), "PID COMMAND");
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert_eq!(
            titles("-o comm"),
            "error: Couldn't find PID field in ps output"
        );
        assert_eq!(
            titles("-o pid,colour"),
            "error: unknown user-defined format specifier \"colour\""
        );
        assert!(titles("--forest").starts_with("error: ps argument \"--forest\" is not supported"));
    }

    #[test]
    fn a_process_is_shown_as_it_is() {
        let table = table(&[std::process::id()], "-o pid,ppid,args").unwrap();
        assert_eq!(table.rows[0][0], std::process::id().to_string());
        assert!(table.rows[0][2].contains("proa_engine"), "{:?}", table.rows);
    }
}
