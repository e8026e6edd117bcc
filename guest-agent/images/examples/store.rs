//! A store on the command line, to try and to measure: `store ROOT pull|push|load|save|list|lowers …`.

#![allow(clippy::print_stdout, reason = "this is a command line")]

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use proa_images::{Filters, Reference, RemoveOptions, Settings, Store};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [root, verb, names @ ..] = arguments.as_slice() else {
        return Err("ROOT and a verb".into());
    };
    let store = Store::open(Path::new(root), Settings::default())?;
    let begin = Instant::now();
    let show = |progress: proa_images::Progress| {
        if progress.detail.is_none() || std::env::var_os("ALL").is_some() {
            println!(
                "{} {}",
                progress.id.as_deref().unwrap_or("-"),
                progress.status
            );
        }
    };
    match (*verb, names) {
        ("pull", [name]) => drop(
            store
                .pull(&Reference::parse(name)?, None, None, show)
                .await?,
        ),
        ("push", [name]) => drop(store.push(&Reference::parse(name)?, None, show).await?),
        ("load", [file]) => {
            let (store, file) = (store.clone(), File::open(file)?);
            let loaded = tokio::task::spawn_blocking(move || store.load(file, |_| {})).await??;
            println!("{loaded:?}");
        }
        ("save", [file, names @ ..]) => {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            store.save(&names, File::create(file)?)?;
        }
        ("tag", [name, to]) => drop(store.tag(name, &Reference::parse(to)?)?),
        ("rm", [name]) => println!(
            "{:?}",
            store.remove(name, RemoveOptions::default(), &|_| None)?
        ),
        ("lowers", [name]) => println!("{:?}", store.find(name)?.lowers()),
        ("list", []) => {
            for summary in store.list(&Filters::default(), false)? {
                println!(
                    "{} {:?} {}",
                    summary.image.id(),
                    summary.image.tags(),
                    summary.image.size()
                );
            }
        }
        other => return Err(format!("unknown verb {other:?}").into()),
    }
    println!("{verb} took {:.0?}", begin.elapsed());
    Ok(())
}
