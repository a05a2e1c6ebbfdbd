//! `pushforward completions` and `pushforward man`: made of the definitions of the arguments, so that neither can fall behind.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap_complete::Shell;
use clap_mangen::Man;
use pushforward::file::AtomicFile;
use serde_json::json;

use crate::args::Common;
use crate::config::command;
use crate::console::Usage;

#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell that is to complete commands, flags and words
    pub(crate) shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Print the page of this command [default: of the program]
    pub(crate) command: Option<String>,
    /// Folder for all pages, one a command: pushforward.1, pushforward-train.1, ...
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub(crate) out: Option<PathBuf>,
}

/// Prints the script of a shell.
pub(crate) fn completions(args: &CompletionsArgs, common: &Common) -> anyhow::Result<()> {
    refuse_json(common)?;
    let mut command = command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    io::stdout().write_all(&script)?;
    Ok(())
}

/// Prints a page, or writes all of them.
pub(crate) fn man(args: &ManArgs, common: &Common) -> anyhow::Result<()> {
    let pages = pages()?;
    let Some(folder) = &args.out else {
        refuse_json(common)?;
        let wanted = args.command.as_ref().map_or("pushforward".into(), |word| format!("pushforward-{word}"));
        let page = pages.iter().find(|page| page.name == wanted);
        let page = page.ok_or(Usage("there is no such command: `pushforward --help` lists them"))?;
        io::stdout().write_all(&page.text)?;
        return Ok(());
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let files: Vec<PathBuf> = pages.iter().map(|page| folder.join(format!("{}.1", page.name))).collect();
    for (page, path) in pages.iter().zip(&files) {
        write(path, &page.text)?;
    }
    common.say(format_args!("{} pages in {}", files.len(), folder.display()));
    let files: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    common.print_json(&json!({ "pages": files }))?;
    Ok(())
}

fn refuse_json(common: &Common) -> Result<(), Usage> {
    if common.json { Err(Usage("the text takes standard output: leave --json out")) } else { Ok(()) }
}

fn write(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(file.commit()?)
}

/// A page of the manual.
struct Page {
    name: String,
    text: Vec<u8>,
}

/// The page of the program, then one for each command.
fn pages() -> io::Result<Vec<Page>> {
    let mut program = command().disable_help_subcommand(true);
    program.build(); // gives each command the common flags
    let page = |name: String, command: clap::Command| {
        let mut text = Vec::new();
        Man::new(command).title(name.to_uppercase()).render(&mut text)?;
        io::Result::Ok(Page { name, text })
    };
    let mut pages = vec![page(program.get_name().to_owned(), program.clone())?];
    for command in program.get_subcommands() {
        // What `build` calls it on a page: pushforward-train.
        let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
        pages.push(page(name, command.clone().version(env!("CARGO_PKG_VERSION")))?);
    }
    Ok(pages)
}
