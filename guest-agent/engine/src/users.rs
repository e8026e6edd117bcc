//! `--user`: names and numbers, looked up in the container's own `/etc/passwd` and `/etc/group`.

use std::{collections::BTreeSet, path::Path};

use crate::{Error, Result, error::Context, rootfs::Layers, spec::User};

/// Looks `user` (`""`, `name`, `uid`, `name:group`, `uid:gid`…) up beneath the root, `extra` groups included.
pub(crate) fn find(root: &Layers, user: &str, extra: &[String]) -> Result<User> {
    let attempt = || format!("read the users of the container to find user {user:?}");
    let passwd = root.read(Path::new("/etc/passwd")).context(attempt)?;
    let group = root.read(Path::new("/etc/group")).context(attempt)?;
    resolve(&passwd, &group, user, extra)
}

/// One line of `/etc/passwd`.
struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// One line of `/etc/group`.
struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

fn accounts(passwd: &str) -> impl Iterator<Item = Account<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = fields.nth(1).unwrap_or_default();
        Some(Account {
            name,
            uid,
            gid,
            home,
        })
    })
}

fn groups(group: &str) -> impl Iterator<Item = Group<'_>> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some(Group {
            name,
            gid,
            members: fields.next().unwrap_or_default(),
        })
    })
}

fn resolve(passwd: &str, group: &str, user: &str, extra: &[String]) -> Result<User> {
    let (user, wanted_group) = user.split_once(':').unwrap_or((user, ""));
    let user = if user.is_empty() { "0" } else { user };
    let number = user.parse::<u32>().ok();
    // A name of digits alone is a number first, as in Docker.
    let account =
        accounts(passwd).find(|account| account.name == user || number == Some(account.uid));
    let (uid, mut gid, name, home) = match (&account, number) {
        (Some(found), _) => (found.uid, found.gid, Some(found.name), Some(found.home)),
        (None, Some(uid)) => (uid, 0, None, None),
        (None, None) => return Err(not_found("user", user, "passwd")),
    };
    let mut additional: BTreeSet<u32> = BTreeSet::new();
    if wanted_group.is_empty() {
        // What the user belongs to; a group named after `user:group` replaces all of it.
        let member = |group: &Group<'_>| {
            name.is_some_and(|name| group.members.split(',').any(|m| m == name))
        };
        additional.extend(groups(group).filter(member).map(|group| group.gid));
    } else {
        gid = find_group(group, wanted_group)?;
    }
    for wanted in extra {
        additional.insert(find_group(group, wanted)?);
    }
    // A process that drops its first group must not escape what the group is denied (CVE-2022-36109).
    additional.insert(gid);
    let home = home
        .filter(|home| !home.is_empty())
        .unwrap_or("/")
        .to_owned();
    Ok(User {
        uid,
        gid,
        additional_gids: additional.into_iter().collect(),
        home: Some(home),
    })
}

fn find_group(group: &str, wanted: &str) -> Result<u32> {
    let number = wanted.parse::<u32>().ok();
    let found = groups(group).find(|group| group.name == wanted || number == Some(group.gid));
    found.map(|group| group.gid).or(number).ok_or_else(|| {
        Error::bad(format!(
            "Unable to find group {wanted}: no matching entries in group file"
        ))
    })
}

fn not_found(what: &str, wanted: &str, file: &str) -> Error {
    Error::internal(format!(
        "unable to find {what} {wanted}: no matching entries in {file} file"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/var/www:/bin/false\nbroken\n";
    const GROUP: &str = "root:x:0:\nwww:x:34:\naudio:x:29:web,root\nvideo:x:44:web\n";

    fn check(user: &str, extra: &[&str], expected: &str) {
        let extra: Vec<String> = extra.iter().map(ToString::to_string).collect();
        let told = match resolve(PASSWD, GROUP, user, &extra) {
            Ok(user) => {
                format!(
                    "{}:{} {:?} {}",
                    user.uid,
                    user.gid,
                    user.additional_gids,
                    user.home.unwrap_or_default()
                )
            }
            Err(error) => error.told(),
        };
        assert_eq!(told, expected, "user {user:?}");
    }

    #[test]
    fn users_are_found_by_name_and_number() {
        check("", &[], "0:0 [0, 29] /root");
        check("web", &[], "33:34 [29, 34, 44] /var/www");
        check("33", &[], "33:34 [29, 34, 44] /var/www");
        check("1000", &[], "1000:0 [0] /");
        check("1000:1000", &[], "1000:1000 [1000] /");
        check("web:video", &[], "33:44 [44] /var/www");
        check("web:video", &["audio", "7"], "33:44 [7, 29, 44] /var/www");
        check(
            "nobody",
            &[],
            "unable to find user nobody: no matching entries in passwd file",
        );
        check(
            "web:gone",
            &[],
            "Unable to find group gone: no matching entries in group file",
        );
    }
}
