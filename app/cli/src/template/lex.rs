//! Text to pieces: what stands between actions, and the tokens inside them.

use serde_json::Value;

use super::TemplateError;

/// A part of a template.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    /// What stood between `{{` and `}}`.
    Action(Vec<Token>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// `.A.B`: the names; empty for a lone dot.
    Field(Vec<String>),
    /// `.A.B` directly after a closing parenthesis or variable.
    Chain(Vec<String>),
    /// `$` or `$name`.
    Variable(String),
    /// A function's name or a keyword.
    Word(String),
    Literal(Value),
    Open,
    Close,
    Pipe,
    Comma,
    /// `:=`
    Declare,
    /// `=`
    Assign,
}

/// Cuts a template into its pieces; comments and what trim marks eat are gone.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut trim_next = false;
    loop {
        let (mut before, action) = match rest.split_once("{{") {
            Some((before, after)) => (before, Some(after)),
            None => (rest, None),
        };
        if trim_next {
            before = before.trim_start();
        }
        let Some(mut action) = action else {
            push_text(&mut pieces, before);
            return Ok(pieces);
        };
        if let Some(after) = action
            .strip_prefix('-')
            .filter(|after| after.starts_with(char::is_whitespace))
        {
            before = before.trim_end();
            action = after;
        }
        push_text(&mut pieces, before);
        let (tokens, used, trims) = inside(action)?;
        if !tokens.is_empty() {
            pieces.push(Piece::Action(tokens));
        }
        trim_next = trims;
        rest = &action[used..];
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

/// The tokens of one action, how long it was with its `}}`, and whether that one trims.
fn inside(action: &str) -> Result<(Vec<Token>, usize, bool), TemplateError> {
    let mut scanner = Scanner {
        text: action,
        at: 0,
    };
    let mut tokens = Vec::new();
    scanner.skip_space();
    if scanner.take("/*") {
        let Some(end) = scanner.rest().find("*/") else {
            return Err(malformed("unclosed comment"));
        };
        scanner.at += end + 2;
    }
    loop {
        let spaced = scanner.skip_space();
        if spaced && scanner.take("-}}") {
            return Ok((tokens, scanner.at, true));
        }
        if scanner.take("}}") {
            return Ok((tokens, scanner.at, false));
        }
        if scanner.rest().is_empty() {
            return Err(malformed("unclosed action"));
        }
        let glued = !spaced && matches!(tokens.last(), Some(Token::Close | Token::Variable(_)));
        tokens.push(scanner.token(glued)?);
    }
}

fn malformed(what: impl Into<String>) -> TemplateError {
    TemplateError::Malformed(what.into())
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) -> bool {
        let trimmed = self.rest().trim_start();
        let skipped = self.rest().len() - trimmed.len();
        self.at += skipped;
        skipped > 0
    }

    fn take(&mut self, what: &str) -> bool {
        let found = self.rest().starts_with(what);
        if found {
            self.at += what.len();
        }
        found
    }

    fn take_while(&mut self, matches: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !matches(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn token(&mut self, glued: bool) -> Result<Token, TemplateError> {
        for (text, token) in [
            (":=", Token::Declare),
            ("=", Token::Assign),
            ("|", Token::Pipe),
            (",", Token::Comma),
            ("(", Token::Open),
            (")", Token::Close),
        ] {
            if self.take(text) {
                return Ok(token);
            }
        }
        match self.rest().chars().next() {
            Some('"') => self.quoted(),
            Some('`') => self.raw(),
            Some('\'') => self.character(),
            Some('.') => Ok(if glued {
                Token::Chain(self.names())
            } else {
                Token::Field(self.names())
            }),
            Some('$') => {
                self.at += 1;
                Ok(Token::Variable(self.take_while(is_name).to_owned()))
            }
            Some(c) if c.is_ascii_digit() || matches!(c, '-' | '+') => self.number(),
            Some(c) if is_name(c) => Ok(self.word()),
            Some(c) => Err(malformed(format!("unexpected {c:?} in an action"))),
            None => Err(malformed("unclosed action")),
        }
    }

    fn names(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        while self.take(".") {
            let name = self.take_while(is_name);
            if !name.is_empty() {
                names.push(name.to_owned());
            }
        }
        names
    }

    fn word(&mut self) -> Token {
        match self.take_while(is_name) {
            "true" => Token::Literal(Value::Bool(true)),
            "false" => Token::Literal(Value::Bool(false)),
            "nil" => Token::Literal(Value::Null),
            word => Token::Word(word.to_owned()),
        }
    }

    fn number(&mut self) -> Result<Token, TemplateError> {
        let text =
            self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_'));
        let digits = text.strip_prefix('+').unwrap_or(text).replace('_', "");
        let whole = match digits.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16).ok(),
            None => digits.parse::<i64>().ok(),
        };
        let value = whole
            .map(Value::from)
            .or_else(|| digits.parse::<f64>().ok().map(Value::from));
        value
            .map(Token::Literal)
            .ok_or_else(|| malformed(format!("bad number {text:?}")))
    }

    fn raw(&mut self) -> Result<Token, TemplateError> {
        self.at += 1;
        let text = self.take_while(|c| c != '`').to_owned();
        if self.take("`") {
            Ok(Token::Literal(Value::String(text)))
        } else {
            Err(malformed("unclosed raw string"))
        }
    }

    fn quoted(&mut self) -> Result<Token, TemplateError> {
        self.until_quote('"')
            .map(|text| Token::Literal(Value::String(text)))
    }

    fn character(&mut self) -> Result<Token, TemplateError> {
        let text = self.until_quote('\'')?;
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(c), None) => Ok(Token::Literal(Value::from(u32::from(c)))),
            _ => Err(malformed("bad character constant")),
        }
    }

    fn until_quote(&mut self, quote: char) -> Result<String, TemplateError> {
        let mut text = String::new();
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((at, c)) = characters.next() {
            match c {
                '\\' => match characters.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, c @ ('\\' | '"' | '\''))) => text.push(c),
                    other => {
                        return Err(malformed(format!(
                            "bad escape \\{}",
                            other.map_or(' ', |(_, c)| c)
                        )));
                    }
                },
                c if c == quote => {
                    self.at += at + c.len_utf8();
                    return Ok(text);
                }
                c => text.push(c),
            }
        }
        Err(malformed("unterminated quoted string"))
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
