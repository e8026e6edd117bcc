//! Words of an instruction: quotes, backslashes and variables, as Dockerfiles have them.

use std::iter::Peekable;
use std::str::Chars;

use super::BadChange;

/// Words with quotes taken off and variables filled in.
pub(super) struct Words(pub(super) Vec<String>);

/// Splits at white space outside of quotes.
pub(super) fn words(text: &str, env: &[String]) -> Words {
    Words(split(text).iter().map(|word| expand(word, env)).collect())
}

/// `a=b "c"="d e"`, or the old form `a b c` for `a` = `b c`.
pub(super) fn pairs(
    verb: &'static str,
    text: &str,
    env: &[String],
) -> Result<Vec<(String, String)>, BadChange> {
    let list = split(text);
    let Some(first) = list.first() else {
        return Err(BadChange::Wants(verb, "at least one argument"));
    };
    if !first.contains('=') {
        let (key, value) = text
            .split_once(char::is_whitespace)
            .ok_or(BadChange::Wants(verb, "two arguments"))?;
        return Ok(vec![(expand(key, env), expand(value.trim(), env))]);
    }
    let pair = |word: &String| {
        let cannot = || {
            let form = "Syntax error - can't find = in";
            BadChange::Wrong(format!("{form} {word:?}. Must be of the form: name=value"))
        };
        let (key, value) = word.split_once('=').ok_or_else(cannot)?;
        let key = expand(key, env);
        if key.is_empty() {
            return Err(BadChange::Wrong(format!("{verb} names can not be blank")));
        }
        Ok((key, expand(value, env)))
    };
    list.iter().map(pair).collect()
}

/// Words as they are written.
fn split(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let started = words.last().is_some_and(|word| !word.is_empty());
        match (quote, letter) {
            (None, letter) if letter.is_whitespace() => {
                if started {
                    words.push(String::new());
                }
                continue;
            }
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            _ => {}
        }
        let escaped = if letter == '\\' && quote != Some('\'') {
            letters.next()
        } else {
            None
        };
        words
            .last_mut()
            .into_iter()
            .for_each(|word| word.extend([letter].into_iter().chain(escaped)));
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Takes quotes and backslashes off and fills variables in.
pub(super) fn expand(word: &str, env: &[String]) -> String {
    let mut out = String::new();
    let mut letters = word.chars().peekable();
    let mut quote = None;
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\'' | '"', None) => quote = Some(letter),
            (letter, Some(open)) if letter == open => quote = None,
            ('\\', None) => out.extend(letters.next()),
            ('\\', Some('"')) => match letters.peek() {
                Some('"' | '$' | '\\') => out.extend(letters.next()),
                _ => out.push('\\'),
            },
            ('$', None | Some('"')) => variable(&mut letters, env, &mut out),
            (letter, _) => out.push(letter),
        }
    }
    out
}

/// `$NAME`, `${NAME}`, `${NAME:-word}`, `${NAME:+word}`, behind the dollar sign.
fn variable(letters: &mut Peekable<Chars<'_>>, env: &[String], out: &mut String) {
    let is_name = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '_';
    let take_name = |letters: &mut Peekable<Chars<'_>>| {
        let mut name = String::new();
        while let Some(letter) = letters.next_if(is_name) {
            name.push(letter);
        }
        name
    };
    let value = |name: &str| {
        let mut values = env.iter().filter_map(|entry| entry.split_once('='));
        values.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    if letters.next_if_eq(&'{').is_none() {
        let name = take_name(letters);
        if name.is_empty() {
            out.push('$');
        }
        out.push_str(value(&name).unwrap_or_default());
        return;
    }
    let name = take_name(letters);
    let rest: String = letters
        .by_ref()
        .take_while(|letter| *letter != '}')
        .collect();
    let found = value(&name).filter(|value| !value.is_empty());
    match (rest.split_at_checked(2), found) {
        (Some((":-", word)), None) => out.push_str(word),
        (Some((":+", word)), Some(_)) => out.push_str(word),
        (Some((":+", _)), None) => {}
        (_, found) => out.push_str(found.unwrap_or_default()),
    }
}
