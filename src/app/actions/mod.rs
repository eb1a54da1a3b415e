//! Everything a key can do, as one slice: keys, footer, help, palette and `pgmoat keys` are derived from it. An action
//! that is not possible now says why.

use super::{
    App, Effect, Overlay,
    act::{ending::Way, forms::Kind},
    overlay::StoryView,
    palette,
    panes::{Enter, Reach},
    view::Tone,
};

/// Where an action is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// Everywhere; with a key that is no character, in text fields too.
    Always,
    /// Everywhere but in text fields.
    Reading,
    /// On a pane with nothing lying over it.
    Pane,
    /// In the preview of an action.
    Preview,
}

impl Context {
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Context::Always => "everywhere",
            Context::Reading => "panes and texts",
            Context::Pane => "panes",
            Context::Preview => "previews",
        }
    }
}

/// One action.
pub struct ActionSpec {
    /// In the configuration's `[keys]` and the documents.
    pub id: &'static str,
    /// In the footer: a word or two.
    pub title: &'static str,
    /// One sentence for help and documents.
    pub doc: &'static str,
    /// Default keys, as the configuration writes them.
    pub keys: &'static [&'static str],
    pub context: Context,
    /// Must keep a key.
    pub needed: bool,
    /// It changes something outside: its key stays in the footer when it is not possible, and says why. Works on an open
    /// text too.
    pub acts: bool,
    /// Whether it can be done now, or why not.
    pub enabled: fn(&App) -> Result<(), &'static str>,
    pub run: fn(&mut App) -> Vec<Effect>,
}

const fn action(
    id: &'static str,
    title: &'static str,
    keys: &'static [&'static str],
    context: Context,
    doc: &'static str,
    enabled: fn(&App) -> Result<(), &'static str>,
    run: fn(&mut App) -> Vec<Effect>,
) -> ActionSpec {
    ActionSpec { id, title, doc, keys, context, needed: false, acts: false, enabled, run }
}

#[expect(clippy::needless_pass_by_value, reason = "built once, in a constant")]
const fn needed(spec: ActionSpec) -> ActionSpec {
    ActionSpec { needed: true, ..spec }
}

#[expect(clippy::needless_pass_by_value, reason = "built once, in a constant")]
const fn acts(spec: ActionSpec) -> ActionSpec {
    ActionSpec { acts: true, ..spec }
}

/// An action without effects on the world.
macro_rules! here {
    ($run:expr) => {
        |app| {
            let run: fn(&mut App) = $run;
            run(app);
            Vec::new()
        }
    };
}

use Context::{Always, Pane, Preview, Reading};

/// Every action. Help lists them in this order.
pub const ACTIONS: &[ActionSpec] = &[
    needed(action(
        "help",
        "help",
        &["?", "f1"],
        Reading,
        "Says what this pane shows and which keys work here.",
        always,
        here!(|app| app.toggle_help()),
    )),
    action(
        "palette",
        "command",
        &[":"],
        Reading,
        "Finds panes, actions, instances, roles, schemas and findings by a few letters.",
        always,
        here!(|app| {
            let picker = palette::palette(app);
            app.overlays.push(Overlay::Pick(picker));
        }),
    ),
    needed(action("quit", "quit", &["q", "ctrl-c"], Always, "Leaves the console. Esc never does.", always, |_| {
        vec![Effect::Quit]
    })),
    action(
        "suspend",
        "suspend",
        &["ctrl-z"],
        Always,
        "Gives the terminal back to the shell until `fg`.",
        always,
        |_| vec![Effect::Suspend],
    ),
    action("redraw", "redraw", &["ctrl-l"], Always, "Draws the whole screen anew.", always, |_| vec![Effect::Redraw]),
    needed(action(
        "open",
        "open",
        &["enter"],
        Pane,
        "Goes into what is selected: one level down, its full story, or the pane that explains it.",
        selected,
        here!(|app| app.open()),
    )),
    needed(action(
        "back",
        "back",
        &["esc"],
        Reading,
        "Takes one step back: closes what lies on top, ends the filter, goes one level up, returns to the pane one came from.",
        |app| if app.can_go_back() { Ok(()) } else { Err("this is the top; q quits") },
        here!(|app| app.back()),
    )),
    needed(action("up", "up", &["up", "k"], Reading, "One line up.", always, here!(|app| app.step(-1)))),
    needed(action("down", "down", &["down", "j"], Reading, "One line down.", always, here!(|app| app.step(1)))),
    action(
        "left",
        "left",
        &["left", "h"],
        Pane,
        "One cell to the left, or scrolls the columns.",
        always,
        here!(|app| app.sideways(-1)),
    ),
    action(
        "right",
        "right",
        &["right", "l"],
        Pane,
        "One cell to the right, or scrolls the columns.",
        always,
        here!(|app| app.sideways(1)),
    ),
    action("page-up", "page up", &["pgup", "ctrl-b"], Reading, "One page up.", always, here!(|app| app.page(-1))),
    action("page-down", "page down", &["pgdn", "ctrl-f"], Reading, "One page down.", always, here!(|app| app.page(1))),
    action("top", "top", &["g", "home"], Reading, "The first line.", always, here!(|app| app.step(isize::MIN))),
    action("bottom", "bottom", &["G", "end"], Reading, "The last line.", always, here!(|app| app.step(isize::MAX))),
    action("next-pane", "next pane", &["tab", "]"], Reading, "The next pane.", always, here!(|app| app.turn(1))),
    action(
        "previous-pane",
        "previous pane",
        &["shift-tab", "["],
        Reading,
        "The previous pane.",
        always,
        here!(|app| app.turn(-1)),
    ),
    pane::<0>("pane-1", &["1"]),
    pane::<1>("pane-2", &["2"]),
    pane::<2>("pane-3", &["3"]),
    pane::<3>("pane-4", &["4"]),
    pane::<4>("pane-5", &["5"]),
    pane::<5>("pane-6", &["6"]),
    pane::<6>("pane-7", &["7"]),
    pane::<7>("pane-8", &["8"]),
    pane::<8>("pane-9", &["9"]),
    action(
        "filter",
        "filter",
        &["/"],
        Pane,
        "Shows only rows that match: letters of a name, !word for rows without it, @instance for one instance.",
        rows,
        here!(|app| app.begin_filter()),
    ),
    action(
        "sort",
        "sort",
        &["s"],
        Pane,
        "Chooses the column to sort by; the same column again turns the order round.",
        |app| if app.sorts() { Ok(()) } else { Err("this pane keeps its own order") },
        here!(|app| {
            let picker = palette::sort(app);
            app.overlays.push(Overlay::Pick(picker));
        }),
    ),
    action(
        "differences",
        "only differences",
        &["d"],
        Pane,
        "Shows only what differs from the policy, or everything again.",
        |app| match app.differences() {
            Some(_) => Ok(()),
            None => Err("this pane compares nothing with the policy"),
        },
        here!(|app| app.toggle_differences()),
    ),
    action(
        "mark",
        "mark",
        &["space"],
        Pane,
        "Marks the row, or takes its mark away.",
        selected,
        here!(|app| app.mark()),
    ),
    action(
        "instances",
        "instances",
        &["i"],
        Pane,
        "Chooses one instance to look at, or all.",
        |app| if app.instances.len() > 1 { Ok(()) } else { Err("there is only one instance") },
        here!(|app| {
            let picker = palette::instances(app);
            app.overlays.push(Overlay::Pick(picker));
        }),
    ),
    action(
        "databases",
        "databases",
        &["b"],
        Pane,
        "Lists the databases of this server with their sizes, and opens another one beside the instances.",
        App::can_list_databases,
        here!(|app| app.list_databases()),
    ),
    action(
        "about",
        "about",
        &["a"],
        Pane,
        "Says which server this is, who one is there, and what stands between: a standby's lag, a pooler and its meaning.",
        answered,
        here!(|app| app.about()),
    ),
    action(
        "copy",
        "copy",
        &["y"],
        Reading,
        "Sends the selection, the marked rows or the text to the terminal's clipboard.",
        copies,
        |app| {
            let Some(text) = app.copied() else { return Vec::new() };
            app.say("sent to the terminal's clipboard; w writes it to a file", Tone::Good);
            vec![Effect::Copy(text)]
        },
    ),
    action(
        "write",
        "write to a file",
        &["w"],
        Reading,
        "Writes what `copy` would copy to a new file.",
        copies,
        here!(|app| app.begin_save()),
    ),
    acts(action(
        "fix",
        "fix",
        &["f"],
        Pane,
        "Plans what mends the cell, the finding or the marked rows, and shows it before anything runs.",
        App::can_fix,
        App::fix,
    )),
    acts(action(
        "fix-row",
        "fix the row",
        &[],
        Pane,
        "Plans what mends everything of the selected row, and shows it before anything runs.",
        |app| app.can_fix_reach(Reach::Row),
        |app| app.fix_reach(Reach::Row),
    )),
    acts(action(
        "fix-column",
        "fix the column",
        &[],
        Pane,
        "Plans what mends everything of the selected column, and shows it before anything runs.",
        |app| app.can_fix_reach(Reach::Column),
        |app| app.fix_reach(Reach::Column),
    )),
    acts(action(
        "fix-all",
        "fix everything",
        &[],
        Pane,
        "Plans what mends every finding of the instance that has a fix, and shows it before anything runs.",
        App::can_fix_all,
        App::fix_all,
    )),
    acts(action(
        "create-schema",
        "create schema",
        &["c"],
        Pane,
        "Sets up one service by a form: schema, role, password, rights, limits, version table; with the hand-over.",
        App::can_fill,
        |app| app.fill(Kind::Create),
    )),
    acts(action(
        "move-versions",
        "move versions",
        &["m"],
        Pane,
        "Moves a version table, or rows of it, to the schema of its service; what nothing decides is asked.",
        App::can_move,
        |app| app.fill(Kind::MoveVersions),
    )),
    acts(action(
        "isolate",
        "isolate",
        &["I"],
        Pane,
        "Takes one service out of a schema that it shares, with its tables, rows, role and search path.",
        App::can_fill,
        |app| app.fill(Kind::Isolate),
    )),
    acts(action(
        "undo",
        "undo",
        &["u"],
        Pane,
        "Undo and redo: takes back the selected entry of the journal, or the newest one; an undo itself is done again.",
        App::can_undo,
        App::undo,
    )),
    acts(action(
        "cancel",
        "cancel",
        &["x"],
        Pane,
        "Cancels the statement of the selected or marked sessions, after a preview of who is freed and what is lost.",
        |app| app.can_end(Way::Cancel),
        |app| app.end(Way::Cancel),
    )),
    acts(action(
        "terminate",
        "terminate",
        &["X"],
        Pane,
        "Ends the selected or marked sessions, after a preview of who is freed and what is lost.",
        |app| app.can_end(Way::Terminate),
        |app| app.end(Way::Terminate),
    )),
    action(
        "rehearse",
        "rehearse",
        &["r"],
        Preview,
        "Runs the plan on the server, proves the result and rolls everything back.",
        App::can_rehearse,
        App::rehearse,
    ),
    action(
        "full-sql",
        "whole SQL",
        &["v"],
        Preview,
        "Shows every statement in full, with what each step means, or the short form again.",
        App::has_plan,
        here!(|app| app.toggle_full()),
    ),
    action(
        "reveal",
        "show password",
        &["V"],
        Preview,
        "Shows the password of a role that was made, or hides it again.",
        App::can_reveal,
        here!(|app| app.toggle_password()),
    ),
    action("pause", "pause", &["p"], Reading, "Stops reading from the servers, or goes on.", live, |app| {
        app.paused = !app.paused;
        vec![Effect::Pause(app.paused)]
    }),
    action("slower", "slower", &["+"], Reading, "Reads sessions less often, up to once a minute.", live, |app| {
        app.change_interval(true)
    }),
    action("faster", "faster", &["-"], Reading, "Reads sessions more often, up to twice a second.", live, |app| {
        app.change_interval(false)
    }),
    action("refresh", "refresh", &["R"], Reading, "Reads everything now.", live, |app| {
        app.say("reading", Tone::Dim);
        vec![Effect::Refresh(app.only)]
    }),
];

/// The action that goes to the pane of a number.
const fn pane<const N: usize>(id: &'static str, keys: &'static [&'static str]) -> ActionSpec {
    action(
        id,
        "pane",
        keys,
        Reading,
        "Goes to the pane of that number.",
        |app| if N < app.slots.len() { Ok(()) } else { Err("there is no pane of that number") },
        here!(|app| app.go(N)),
    )
}

#[expect(clippy::unnecessary_wraps, reason = "one signature for all actions")]
fn always(_: &App) -> Result<(), &'static str> {
    Ok(())
}

fn selected(app: &App) -> Result<(), &'static str> {
    if app.row().is_some() { Ok(()) } else { Err("nothing is selected") }
}

fn answered(app: &App) -> Result<(), &'static str> {
    let instance = app.focus().and_then(|i| app.instances.get(i));
    match instance.map(|i| i.judgement.is_some()) {
        Some(true) => Ok(()),
        Some(false) => Err("the server has not answered yet"),
        None => Err("there is no instance"),
    }
}

fn rows(app: &App) -> Result<(), &'static str> {
    if app.slot().is_some_and(|s| !s.entries.is_empty()) { Ok(()) } else { Err("there are no rows to filter") }
}

fn copies(app: &App) -> Result<(), &'static str> {
    match app.overlays.last() {
        Some(Overlay::Story(story)) if story.copy.is_empty() => Err("there is nothing to copy here"),
        Some(Overlay::Preview(preview)) if preview.sql().is_empty() => Err("there is nothing to copy here"),
        Some(_) => Ok(()),
        None => selected(app),
    }
}

fn live(app: &App) -> Result<(), &'static str> {
    if app.instances.iter().any(|i| !i.recorded) { Ok(()) } else { Err("this is a recording: it does not change") }
}

/// What Enter led to.
pub(super) fn entered(app: &mut App, enter: Enter) {
    match enter {
        Enter::Nothing(why) => app.say(why, Tone::Dim),
        Enter::Down => app.down(),
        Enter::Story(story) => app.overlays.push(Overlay::Story(StoryView::new(story, false))),
        Enter::Go { pane, row } => {
            if !app.follow(pane, row.as_ref()) {
                app.say("that pane is not here", Tone::Dim);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_words_and_texts_are_sentences() {
        for a in ACTIONS {
            assert!(a.id.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c.is_ascii_digit()), "{}", a.id);
            assert!(a.doc.ends_with('.') && a.doc.starts_with(|c: char| c.is_uppercase()), "{}", a.id);
            assert!(!a.title.is_empty() && a.title.len() <= 16, "{}", a.id);
        }
    }

    #[test]
    fn actions_of_text_fields_have_no_plain_characters_alone() {
        for a in ACTIONS.iter().filter(|a| a.context == Context::Always) {
            assert!(a.keys.iter().any(|k| k.contains('-')), "{} can be reached from a text field", a.id);
        }
    }
}
