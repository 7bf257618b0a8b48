//! Help texts below the options: written in lines of the source, shown in lines of the terminal.

use clap::Command;

/// Terminals have at least so many columns: an example is not broken again, so that it can be copied.
const COLUMNS: usize = 80;

/// The command with its texts, and those of its subcommands, in paragraphs that the terminal breaks.
pub(crate) fn reflowed(command: Command) -> Command {
    let text = command.get_after_help().map(|text| paragraphs(&text.to_string()));
    let command = match text {
        Some(text) => command.after_help(text),
        None => command,
    };
    let names: Vec<String> = command.get_subcommands().map(|one| one.get_name().to_owned()).collect();
    names.iter().fold(command, |command, name| command.mut_subcommand(name, reflowed))
}

/// A line of prose of so many bytes was broken in the source; a shorter one ends.
const BROKEN: usize = 80;

/// Lines of prose joined. What is indented, ends with a colon or has columns stays as it is, but for examples that are
/// too long: they are continued.
fn paragraphs(text: &str) -> String {
    let is_prose = |line: &str| {
        !line.is_empty() && !line.starts_with(' ') && !line.ends_with(':') && !line.contains("  ")
    };
    let mut shown = String::new();
    let mut before = "";
    for line in text.lines() {
        let joins = is_prose(line) && is_prose(before) && before.len() >= BROKEN;
        if !shown.is_empty() {
            shown.push(if joins { ' ' } else { '\n' });
        }
        let is_command = line.starts_with("  emotrain ") && !line.trim().contains("  ");
        shown += &if is_command { continued(line) } else { line.to_owned() };
        before = line;
    }
    shown
}

/// A command in lines that a shell reads as one.
fn continued(command: &str) -> String {
    let (mut lines, mut line) = (Vec::new(), "  ".to_owned());
    for word in command.trim().split(' ') {
        if line.len() + word.len() + 3 > COLUMNS && !word.is_empty() {
            lines.push(format!("{} \\", line.trim_end()));
            "    ".clone_into(&mut line);
        }
        line += word;
        line.push(' ');
    }
    lines.push(line.trim_end().to_owned());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn prose_is_joined_and_examples_can_be_copied() {
        let text = "What it says is said in two lines of the source, which are longer than the terminal may\n\
                    be.\nA short line ends.\n\nThe rest is this:\n  {\"id\":1}\npeft    a form\n\nExamples:\n  \
                    emotrain check a.toml\n  emotrain bank build retrieval_bank/mine own.csv --format csv --columns \
                    dialogue=conv_id,text=utt,label=emotion";
        expect![[r#"
            What it says is said in two lines of the source, which are longer than the terminal may be.
            A short line ends.

            The rest is this:
              {"id":1}
            peft    a form

            Examples:
              emotrain check a.toml
              emotrain bank build retrieval_bank/mine own.csv --format csv --columns \
                dialogue=conv_id,text=utt,label=emotion"#]]
        .assert_eq(&paragraphs(text));
    }
}
