//! Running a tree on a value.

use serde_json::Value;

use super::parse::{Node, Operand, Pipeline};
use super::{TemplateError, functions, print};

/// Runs `nodes` with `value` as the dot and as `$`.
pub(super) fn run(nodes: &[Node], value: &Value) -> Result<String, TemplateError> {
    let mut run = Run {
        out: String::new(),
        variables: vec![(String::new(), value.clone())],
    };
    run.nodes(nodes, value)?;
    Ok(run.out)
}

/// What happens after a node.
#[derive(PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

struct Run {
    out: String,
    variables: Vec<(String, Value)>,
}

impl Run {
    /// Runs nodes; variables they declare are gone afterwards.
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, TemplateError> {
        let known = self.variables.len();
        for node in nodes {
            let flow = self.node(node, dot)?;
            if flow != Flow::On {
                self.variables.truncate(known);
                return Ok(flow);
            }
        }
        self.variables.truncate(known);
        Ok(Flow::On)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, TemplateError> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Action(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.target.is_none() {
                    self.out.push_str(&print::shown(&value));
                }
            }
            Node::If { arms, otherwise } => {
                for (condition, body) in arms {
                    if functions::truth(&self.pipeline(condition, dot)?) {
                        return self.nodes(body, dot);
                    }
                }
                return self.nodes(otherwise, dot);
            }
            Node::With {
                pipeline,
                body,
                otherwise,
            } => {
                let value = self.pipeline(pipeline, dot)?;
                return if functions::truth(&value) {
                    self.nodes(body, &value)
                } else {
                    self.nodes(otherwise, dot)
                };
            }
            Node::Range {
                key,
                value,
                pipeline,
                body,
                otherwise,
            } => {
                return self.range(
                    (key.as_ref(), value.as_ref()),
                    pipeline,
                    (body, otherwise),
                    dot,
                );
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn range(
        &mut self,
        (key, value): (Option<&String>, Option<&String>),
        pipeline: &Pipeline,
        (body, otherwise): (&[Node], &[Node]),
        dot: &Value,
    ) -> Result<Flow, TemplateError> {
        let over = self.pipeline(pipeline, dot)?;
        let items = items(&over)?;
        if items.is_empty() {
            return self.nodes(otherwise, dot);
        }
        let known = self.variables.len();
        for (index, item) in items {
            if let Some(key) = key {
                self.variables.push((key.clone(), index));
            }
            if let Some(value) = value {
                self.variables.push((value.clone(), item.clone()));
            }
            let flow = self.nodes(body, &item)?;
            self.variables.truncate(known);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let mut last = None;
        for command in &pipeline.commands {
            last = Some(self.command(command, last, dot)?);
        }
        let value = last.unwrap_or(Value::Null);
        if let Some(target) = &pipeline.target {
            self.store(&target.name, &value, target.declares);
        }
        Ok(value)
    }

    fn store(&mut self, name: &str, value: &Value, declares: bool) {
        let known = self
            .variables
            .iter_mut()
            .rev()
            .find(|(known, _)| known == name);
        match known {
            Some((_, place)) if !declares => *place = value.clone(),
            _ => self.variables.push((name.to_owned(), value.clone())),
        }
    }

    fn command(
        &mut self,
        operands: &[Operand],
        piped: Option<Value>,
        dot: &Value,
    ) -> Result<Value, TemplateError> {
        let Some((head, rest)) = operands.split_first() else {
            return Ok(Value::Null);
        };
        let mut arguments = Vec::new();
        for operand in rest {
            arguments.push(self.operand(operand, dot)?);
        }
        arguments.extend(piped);
        match head {
            Operand::Function(name) => functions::call(name, &arguments),
            Operand::Field(names) if !arguments.is_empty() => method(dot, names, &arguments),
            operand if arguments.is_empty() => self.operand(operand, dot),
            _ => Err(TemplateError::Unfit(
                "can't give arguments to something that is no function".into(),
            )),
        }
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, TemplateError> {
        match operand {
            Operand::Literal(value) => Ok(value.clone()),
            Operand::Field(names) => follow(dot, names),
            Operand::Function(name) => functions::call(name, &[]),
            Operand::Nested(pipeline, names) => follow(&self.pipeline(pipeline, dot)?, names),
            Operand::Variable(name, names) => {
                let value = self
                    .variables
                    .iter()
                    .rev()
                    .find(|(known, _)| known == name)
                    .map(|(_, value)| value);
                follow(value.unwrap_or(&Value::Null), names)
            }
        }
    }
}

fn items(over: &Value) -> Result<Vec<(Value, Value)>, TemplateError> {
    match over {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) => Ok(list
            .iter()
            .enumerate()
            .map(|(index, item)| (index.into(), item.clone()))
            .collect()),
        Value::Object(map) => {
            let mut pairs: Vec<_> = map
                .iter()
                .map(|(key, item)| (Value::from(key.as_str()), item.clone()))
                .collect();
            pairs.sort_by(|(a, _), (b, _)| a.as_str().cmp(&b.as_str()));
            Ok(pairs)
        }
        other => Err(TemplateError::Unfit(format!(
            "range can't iterate over {}",
            print::shown(other)
        ))),
    }
}

fn follow(value: &Value, names: &[String]) -> Result<Value, TemplateError> {
    let mut here = value;
    for name in names {
        here = match here {
            Value::Object(map) => map.get(name),
            _ => None,
        }
        .ok_or_else(|| no_field(here, name, names))?;
    }
    Ok(here.clone())
}

fn no_field(at: &Value, name: &str, names: &[String]) -> TemplateError {
    let kind = match at {
        Value::Object(_) => "",
        Value::Null => " in nothing",
        Value::Bool(_) => " in a boolean",
        Value::Number(_) => " in a number",
        Value::String(_) => " in a text",
        Value::Array(_) => " in a list",
    };
    TemplateError::Unfit(format!(
        ".{}: there is no field {name:?}{kind}",
        names.join(".")
    ))
}

/// The one method that Docker's rows have: `.Label "key"`.
fn method(dot: &Value, names: &[String], arguments: &[Value]) -> Result<Value, TemplateError> {
    let ([name], [Value::String(key)]) = (names, arguments) else {
        return Err(TemplateError::Unfit(format!(
            ".{}: takes no arguments",
            names.join(".")
        )));
    };
    if name != "Label" {
        return Err(TemplateError::Unfit(format!(".{name}: takes no arguments")));
    }
    let labels = dot.get("Labels");
    let found = match labels {
        Some(Value::Object(map)) => map.get(key).cloned(),
        Some(Value::String(text)) => text.split(',').find_map(|pair| {
            let (found, value) = pair.split_once('=')?;
            (found == key).then(|| Value::from(value))
        }),
        _ => None,
    };
    Ok(found.unwrap_or_else(|| Value::from("")))
}
