//! Pieces to a tree.

use serde_json::Value;

use super::TemplateError;
use super::functions;
use super::lex::{Piece, Token};

/// A part of a template's tree.
#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Action(Pipeline),
    If {
        arms: Vec<(Pipeline, Vec<Node>)>,
        otherwise: Vec<Node>,
    },
    With {
        pipeline: Pipeline,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Range {
        key: Option<String>,
        value: Option<String>,
        pipeline: Pipeline,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Break,
    Continue,
}

/// Commands whose results flow from one to the next.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) target: Option<Target>,
    pub(super) commands: Vec<Vec<Operand>>,
}

/// The variable that a pipeline's result goes to.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) declares: bool,
}

#[derive(Debug)]
pub(super) enum Operand {
    /// A chain of fields from the dot.
    Field(Vec<String>),
    Variable(String, Vec<String>),
    Literal(Value),
    Function(String),
    Nested(Pipeline, Vec<String>),
}

/// Reads a whole template.
pub(super) fn parse(pieces: Vec<Piece>) -> Result<Vec<Node>, TemplateError> {
    let mut parser = Parser {
        pieces: pieces.into_iter(),
        variables: vec![String::new()],
        depth: 0,
    };
    let (nodes, end) = parser.body()?;
    match end {
        End::Text => Ok(nodes),
        End::Closed => Err(malformed("unexpected {{end}}")),
        End::Else(_) => Err(malformed("unexpected {{else}}")),
    }
}

fn malformed(what: impl Into<String>) -> TemplateError {
    TemplateError::Malformed(what.into())
}

/// What ended a list of nodes.
enum End {
    Text,
    Closed,
    /// `{{else …}}`, with what follows the word.
    Else(Vec<Token>),
}

struct Parser {
    pieces: std::vec::IntoIter<Piece>,
    variables: Vec<String>,
    depth: usize,
}

impl Parser {
    fn body(&mut self) -> Result<(Vec<Node>, End), TemplateError> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let tokens = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(tokens) => tokens,
            };
            let Some(Token::Word(word)) = tokens.first() else {
                nodes.push(Node::Action(self.pipeline(&tokens)?));
                continue;
            };
            let word = word.clone();
            let rest = || tokens[1..].to_vec();
            match word.as_str() {
                "end" => return Ok((nodes, End::Closed)),
                "else" => return Ok((nodes, End::Else(rest()))),
                "if" => nodes.push(self.conditional(rest())?),
                "with" => nodes.push(self.with(rest())?),
                "range" => nodes.push(self.range(rest())?),
                "break" => nodes.push(Node::Break),
                "continue" => nodes.push(Node::Continue),
                "define" | "template" | "block" => {
                    return Err(malformed(format!("{word:?} is not supported")));
                }
                _ => nodes.push(Node::Action(self.pipeline(&tokens)?)),
            }
        }
        Ok((nodes, End::Text))
    }

    /// A body that must be ended; variables declared in it are gone afterwards.
    fn block(&mut self, opened_by: &str) -> Result<(Vec<Node>, Option<Vec<Token>>), TemplateError> {
        self.depth += 1;
        if self.depth > 100 {
            return Err(malformed("too deeply nested"));
        }
        let known = self.variables.len();
        let (nodes, end) = self.body()?;
        self.variables.truncate(known);
        self.depth -= 1;
        match end {
            End::Closed => Ok((nodes, None)),
            End::Else(tokens) => Ok((nodes, Some(tokens))),
            End::Text => Err(malformed(format!(
                "unexpected end of text: {opened_by:?} needs an {{{{end}}}}"
            ))),
        }
    }

    fn conditional(&mut self, tokens: Vec<Token>) -> Result<Node, TemplateError> {
        let known = self.variables.len();
        let mut arms = Vec::new();
        let mut condition = self.needed(&tokens, "if")?;
        loop {
            let (body, next) = self.block("if")?;
            arms.push((condition, body));
            let otherwise = match next {
                None => Vec::new(),
                Some(tokens) if tokens.is_empty() => self.last_block("if")?,
                Some(tokens) => match tokens.split_first() {
                    Some((Token::Word(word), rest)) if word == "if" => {
                        condition = self.needed(rest, "if")?;
                        continue;
                    }
                    _ => return Err(malformed("unexpected words after {{else")),
                },
            };
            self.variables.truncate(known);
            return Ok(Node::If { arms, otherwise });
        }
    }

    fn last_block(&mut self, opened_by: &str) -> Result<Vec<Node>, TemplateError> {
        match self.block(opened_by)? {
            (nodes, None) => Ok(nodes),
            (_, Some(_)) => Err(malformed("expected {{end}}, found {{else}}")),
        }
    }

    fn with(&mut self, tokens: Vec<Token>) -> Result<Node, TemplateError> {
        let known = self.variables.len();
        let pipeline = self.needed(&tokens, "with")?;
        let (body, otherwise) = self.two_blocks("with")?;
        self.variables.truncate(known);
        Ok(Node::With {
            pipeline,
            body,
            otherwise,
        })
    }

    fn range(&mut self, tokens: Vec<Token>) -> Result<Node, TemplateError> {
        let known = self.variables.len();
        let (key, value, rest) = match tokens.as_slice() {
            [
                Token::Variable(key),
                Token::Comma,
                Token::Variable(value),
                Token::Declare | Token::Assign,
                rest @ ..,
            ] => (Some(key.clone()), Some(value.clone()), rest.to_vec()),
            [
                Token::Variable(value),
                Token::Declare | Token::Assign,
                rest @ ..,
            ] => (None, Some(value.clone()), rest.to_vec()),
            _ => (None, None, tokens),
        };
        let pipeline = self.needed(&rest, "range")?;
        self.variables.extend(key.iter().chain(&value).cloned());
        let (body, otherwise) = self.two_blocks("range")?;
        self.variables.truncate(known);
        Ok(Node::Range {
            key,
            value,
            pipeline,
            body,
            otherwise,
        })
    }

    fn two_blocks(&mut self, opened_by: &str) -> Result<(Vec<Node>, Vec<Node>), TemplateError> {
        match self.block(opened_by)? {
            (body, None) => Ok((body, Vec::new())),
            (body, Some(_)) => Ok((body, self.last_block(opened_by)?)),
        }
    }

    fn needed(&mut self, tokens: &[Token], of: &str) -> Result<Pipeline, TemplateError> {
        if tokens.is_empty() {
            Err(malformed(format!("missing value for {of}")))
        } else {
            self.pipeline(tokens)
        }
    }

    fn pipeline(&mut self, tokens: &[Token]) -> Result<Pipeline, TemplateError> {
        let (target, rest) = match tokens {
            [
                Token::Variable(name),
                sign @ (Token::Declare | Token::Assign),
                rest @ ..,
            ] => (
                Some(Target {
                    name: name.clone(),
                    declares: *sign == Token::Declare,
                }),
                rest,
            ),
            all => (None, all),
        };
        let mut tokens = rest.iter().cloned().peekable();
        let commands = self.commands(&mut tokens, 0)?;
        if tokens.next().is_some() {
            return Err(malformed("unexpected \")\""));
        }
        match &target {
            Some(target) if target.declares => self.variables.push(target.name.clone()),
            Some(target) => self.known(&target.name)?,
            None => {}
        }
        Ok(Pipeline { target, commands })
    }

    fn known(&self, name: &String) -> Result<(), TemplateError> {
        if self.variables.contains(name) {
            Ok(())
        } else {
            Err(malformed(format!("undefined variable \"${name}\"")))
        }
    }

    /// Commands up to the end or to a closing parenthesis, which is left.
    fn commands(
        &mut self,
        tokens: &mut Tokens<'_>,
        nesting: usize,
    ) -> Result<Vec<Vec<Operand>>, TemplateError> {
        if nesting > 100 {
            return Err(malformed("too deeply nested"));
        }
        let mut commands = Vec::new();
        let mut command = Vec::new();
        while let Some(token) = tokens.next_if(|token| *token != Token::Close) {
            match token {
                Token::Pipe => commands.push(std::mem::take(&mut command)),
                other => command.push(self.operand(other, tokens, nesting)?),
            }
        }
        commands.push(command);
        if commands.iter().any(Vec::is_empty) {
            return Err(malformed("missing value for command"));
        }
        Ok(commands)
    }

    fn operand(
        &mut self,
        token: Token,
        tokens: &mut Tokens<'_>,
        nesting: usize,
    ) -> Result<Operand, TemplateError> {
        match token {
            Token::Field(names) => Ok(Operand::Field(names)),
            Token::Literal(value) => Ok(Operand::Literal(value)),
            Token::Variable(name) => {
                self.known(&name)?;
                Ok(Operand::Variable(name, chain(tokens)))
            }
            Token::Word(name) if functions::exists(&name) => Ok(Operand::Function(name)),
            Token::Word(name) => Err(malformed(format!("function {name:?} not defined"))),
            Token::Open => {
                let commands = self.commands(tokens, nesting + 1)?;
                if tokens.next() != Some(Token::Close) {
                    return Err(malformed("unclosed left paren"));
                }
                Ok(Operand::Nested(
                    Pipeline {
                        target: None,
                        commands,
                    },
                    chain(tokens),
                ))
            }
            Token::Chain(_)
            | Token::Close
            | Token::Pipe
            | Token::Comma
            | Token::Declare
            | Token::Assign => Err(malformed("unexpected punctuation in an action")),
        }
    }
}

type Tokens<'a> = std::iter::Peekable<std::iter::Cloned<std::slice::Iter<'a, Token>>>;

fn chain(tokens: &mut Tokens<'_>) -> Vec<String> {
    match tokens.next_if(|token| matches!(token, Token::Chain(_))) {
        Some(Token::Chain(names)) => names,
        _ => Vec::new(),
    }
}
