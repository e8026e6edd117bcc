//! Which capabilities a container gets: Docker's fourteen, plus and minus what was asked for.
//!
//! The rules are those of Docker's `--cap-add` and `--cap-drop`: `ALL` stands for every capability, an added one wins
//! over a dropped `ALL`, and a name may carry the `CAP_` prefix or not, in any case.

use std::collections::BTreeSet;
use std::str::FromStr;

use oci_spec::runtime::Capability;

use super::SpecError;

/// What a container has unless told otherwise.
pub(super) const DEFAULT: [Capability; 14] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fsetid,
    Capability::Fowner,
    Capability::Mknod,
    Capability::NetRaw,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setfcap,
    Capability::Setpcap,
    Capability::NetBindService,
    Capability::SysChroot,
    Capability::Kill,
    Capability::AuditWrite,
];

enum Wanted {
    All,
    One(Capability),
}

fn parse(name: &str) -> Result<Wanted, SpecError> {
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if short == "ALL" {
        return Ok(Wanted::All);
    }
    Capability::from_str(short)
        .map(Wanted::One)
        .map_err(|_| SpecError::Capability(name.to_owned()))
}

/// The set in effect. `held` is what the engine itself has; privileged containers and `ALL` get all of that.
pub fn effective(
    add: &[String],
    drop: &[String],
    privileged: bool,
    held: &[Capability],
) -> Result<Vec<Capability>, SpecError> {
    let add = add
        .iter()
        .map(|name| parse(name))
        .collect::<Result<Vec<_>, _>>()?;
    let drop = drop
        .iter()
        .map(|name| parse(name))
        .collect::<Result<Vec<_>, _>>()?;
    if privileged {
        return Ok(held.to_vec());
    }
    let all = |list: &[Wanted]| list.iter().any(|wanted| matches!(wanted, Wanted::All));
    let names = |list: &[Wanted]| {
        list.iter()
            .filter_map(|wanted| match wanted {
                Wanted::All => None,
                Wanted::One(capability) => Some(capability.to_string()),
            })
            .collect::<BTreeSet<_>>()
    };
    let (added, dropped) = (names(&add), names(&drop));
    let start: Vec<Capability> = match (all(&add), all(&drop)) {
        (true, _) => held.to_vec(),
        (false, true) => Vec::new(),
        (false, false) => DEFAULT.to_vec(),
    };
    let mut result: Vec<Capability> = start
        .into_iter()
        .filter(|capability| !dropped.contains(&capability.to_string()))
        .collect();
    for wanted in add {
        if let Wanted::One(capability) = wanted
            && !result.contains(&capability)
            && (all(&drop)
                || !dropped.contains(&capability.to_string())
                || added.contains(&capability.to_string()))
        {
            result.push(capability);
        }
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(add: &[&str], drop: &[&str], expected: &str) {
        let own = |list: &[&str]| {
            list.iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        let held = [
            Capability::Chown,
            Capability::SysAdmin,
            Capability::NetAdmin,
        ];
        let got = match effective(&own(add), &own(drop), false, &held) {
            Ok(list) => list
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" "),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expected, "add {add:?} drop {drop:?}");
    }

    #[test]
    fn added_wins_over_a_dropped_all() {
        check(&["CHOWN"], &["ALL"], "CHOWN");
        check(&["cap_net_admin", "CAP_CHOWN"], &["all"], "NET_ADMIN CHOWN");
    }

    #[test]
    fn all_is_what_the_engine_holds_less_what_is_dropped() {
        check(&["ALL"], &["SYS_ADMIN"], "CHOWN NET_ADMIN");
    }

    #[test]
    fn an_unknown_name_is_refused_by_name() {
        check(&["FLY"], &[], "invalid capability: \"FLY\"");
    }

    #[test]
    fn the_default_is_fourteen() {
        assert_eq!(effective(&[], &[], false, &[]).unwrap().len(), 14);
        assert_eq!(
            effective(&[], &["MKNOD".into()], false, &[]).unwrap().len(),
            13
        );
    }
}
