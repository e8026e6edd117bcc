//! Templates as Docker's `--format` takes them: the common part of Go's `text/template`, over JSON values.
//!
//! [`Template::parse`] turns text into a tree, [`Template::render`] runs it on one value. What is there: fields and
//! chains (`.State.Health.Status`), variables, pipelines, `if`, `with`, `range`, `break`, `continue`, trim marks,
//! Go's own functions and those that Docker adds. What is not: `define`, `template` and `block`.
//!
//! Pure: text and values in, text out.

mod evaluate;
mod functions;
mod lex;
mod parse;
mod print;

use serde_json::Value;

use parse::Node;

/// A parsed template.
#[derive(Debug)]
pub(crate) struct Template {
    nodes: Vec<Node>,
}

/// Why a template cannot be used, or does not fit the value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("template parsing error: {0}")]
    Malformed(String),
    #[error("template: {0}")]
    Unfit(String),
}

impl Template {
    /// Reads a template.
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        Ok(Self {
            nodes: parse::parse(lex::pieces(text)?)?,
        })
    }

    /// Runs it on `value`.
    pub(crate) fn render(&self, value: &Value) -> Result<String, TemplateError> {
        evaluate::run(&self.nodes, value)
    }
}

pub(crate) use print::compact_json;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(template: &str, expected: &str) {
        let value = json!({
            "Name": "/web", "Names": ["a", "b"], "Count": 3, "Big": 1_234_567_890_123_i64, "Half": 0.5, "Yes": true, "Nothing": null,
            "Labels": {"z": "26", "com.x/y": "<v>"}, "State": {"Running": true, "Pid": 7, "Health": null},
            "Mounts": [{"Type": "bind", "Source": "/a"}, {"Type": "volume", "Source": "/b"}], "Empty": [],
        });
        let shown = Template::parse(template).and_then(|parsed| parsed.render(&value));
        assert_eq!(
            shown.unwrap_or_else(|error| format!("error: {error}")),
            expected,
            "{template}"
        );
    }

    #[test]
    fn fields_are_shown_as_go_shows_them() {
        check(
            "{{.Name}} {{ .Count }} {{.Big}} {{.Half}} {{.Yes}}",
            "/web 3 1234567890123 0.5 true",
        );
        check(
            "{{.Names}} {{.Labels}} {{.Nothing}}",
            "[a b] map[com.x/y:<v> z:26] <no value>",
        );
        check("{{.State.Pid}}/{{(index .Mounts 1).Source}}", "7//b");
        check("plain", "plain");
        check("{{/* a remark */}}x", "x");
    }

    #[test]
    fn json_is_compact_and_keeps_order() {
        check(
            "{{json .State}}",
            r#"{"Running":true,"Pid":7,"Health":null}"#,
        );
        check("{{json .Labels}}", r#"{"z":"26","com.x/y":"<v>"}"#);
        check("{{.Names | json}}", r#"["a","b"]"#);
    }

    #[test]
    fn conditions_follow_gos_idea_of_truth() {
        check("{{if .State.Running}}up{{else}}down{{end}}", "up");
        check(
            "{{if .Empty}}some{{else if .Nothing}}what{{else}}none{{end}}",
            "none",
        );
        check("{{if and .Yes (eq .Count 3)}}both{{end}}", "both");
        check(
            "{{if or .Nothing .Name}}one{{end}}{{if not .Yes}}no{{end}}",
            "one",
        );
        check("{{if gt .Count 2}}{{if le .Count 3}}in{{end}}{{end}}", "in");
        check(
            "{{if eq .Name \"x\" \"/web\"}}any{{end}}{{if ne .Name \"x\"}} ne{{end}}",
            "any ne",
        );
        check(
            "{{with .State}}{{.Pid}}{{end}}{{with .Nothing}}x{{else}}-{{end}}",
            "7-",
        );
    }

    #[test]
    fn ranges_bind_their_variables() {
        check(
            "{{range .Mounts}}{{.Type}}={{.Source}};{{end}}",
            "bind=/a;volume=/b;",
        );
        check(
            "{{range $i, $m := .Mounts}}{{$i}}{{$m.Source}}{{end}}",
            "0/a1/b",
        );
        check(
            "{{range $k, $v := .Labels}}{{$k}}={{$v}} {{end}}",
            "com.x/y=<v> z=26 ",
        );
        check("{{range .Empty}}x{{else}}nothing{{end}}", "nothing");
        check(
            "{{range .Names}}{{if eq . \"b\"}}{{break}}{{end}}{{.}}{{end}}",
            "a",
        );
        check(
            "{{range .Names}}{{if eq . \"a\"}}{{continue}}{{end}}{{.}}{{$.Count}}{{end}}",
            "b3",
        );
        check("{{$n := .Count}}{{range .Names}}{{$n}}{{end}}", "33");
        check("{{$n := 1}}{{if .Yes}}{{$n = 2}}{{end}}{{$n}}", "2");
    }

    #[test]
    fn functions_are_gos_and_dockers() {
        check(
            "{{join .Names \", \"}} {{upper .Name}} {{lower \"ABC\"}} {{title \"abc\"}}",
            "a, b /WEB abc Abc",
        );
        check(
            "{{split \"a:b\" \":\"}} {{truncate .Name 2}} {{len .Names}}",
            "[a b] /w 2",
        );
        check(
            "{{index .Labels \"com.x/y\"}} {{index .Names 0}} {{slice .Name 1 3}}",
            "<v> a we",
        );
        check("{{index .Labels \"none\"}}", "");
        check(
            "{{printf \"%s-%05d|%-4s|%q|%.1f\" .Name .Count \"x\" \"y\" .Half}}",
            "/web-00003|x   |\"y\"|0.5",
        );
        check("{{print 1 2 \"x\"}} {{println .Count}}", "1 2x 3\n");
        check("{{.Name | printf \"%s!\" | upper}}", "/WEB!");
        check("{{pad .Name 1 2}}|", " /web  |");
        check("{{html \"<a>\"}}", "&lt;a&gt;");
    }

    #[test]
    fn trim_marks_eat_white_space() {
        check("a  {{- .Count -}}  b", "a3b");
        check("a {{- /* gone */ -}} b", "ab");
    }

    #[test]
    fn what_does_not_fit_is_said() {
        check(
            "{{.Nope}}",
            "error: template: .Nope: there is no field \"Nope\"",
        );
        check(
            "{{.State.Health.Status}}",
            "error: template: .State.Health.Status: there is no field \"Status\" in nothing",
        );
        check(
            "{{.Count.X}}",
            "error: template: .Count.X: there is no field \"X\" in a number",
        );
        check(
            "{{if}}",
            "error: template parsing error: missing value for if",
        );
        check("{{.Name", "error: template parsing error: unclosed action");
        check(
            "{{if .Yes}}",
            "error: template parsing error: unexpected end of text: \"if\" needs an {{end}}",
        );
        check(
            "{{end}}",
            "error: template parsing error: unexpected {{end}}",
        );
        check(
            "{{nope 1}}",
            "error: template parsing error: function \"nope\" not defined",
        );
        check(
            "{{$x}}",
            "error: template parsing error: undefined variable \"$x\"",
        );
        check(
            "{{index .Names 9}}",
            "error: template: index: 9 is out of range",
        );
        check(
            "{{template \"x\"}}",
            "error: template parsing error: \"template\" is not supported",
        );
    }
}
