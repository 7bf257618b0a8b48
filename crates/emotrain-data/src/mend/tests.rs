use super::*;
use crate::mend::code_page::is_stray;

/// Each text with its repaired form; an unchanged text does not count as repaired.
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let (mended, how) = clean(text);
        assert_eq!(mended, *expected, "{text:?}");
        assert_eq!(how == Mended::Yes, text.trim() != *expected, "{text:?}");
    }
}

#[test]
fn control_characters_become_the_punctuation_that_was_meant() {
    let (text, mended) = clean("it\u{92}s \u{93}late\u{94} \u{97} or early\u{85}");
    assert_eq!(text, "it’s “late” — or early…");
    assert_eq!(mended, Mended::Yes);
}

#[test]
fn a_leading_ellipsis_is_not_taken_for_white_space() {
    assert_eq!(clean(" \u{85}fine ").0, "…fine");
}

#[test]
fn characters_without_a_meaning_are_left_out() {
    assert_eq!(clean("a\u{81}\u{8d}\u{8f}\u{90}\u{9d}b").0, "ab");
}

#[test]
fn sound_text_is_only_trimmed() {
    let (text, mended) = clean("\u{a0} déjà — vu…\n");
    assert_eq!(text, "déjà — vu…");
    assert_eq!(mended, Mended::No);
    assert!(matches!(text, Cow::Borrowed(_)));
}

#[test]
fn nothing_stray_survives() {
    let every: String = ('\u{80}'..='\u{9f}').collect();
    let (text, _) = clean(&every);
    assert!(!text.chars().any(is_stray));
    assert_eq!(text.chars().count(), 27);
}

#[test]
fn what_was_decoded_twice_is_decoded_once() {
    check(&[
        ("Weâ€™re late â€“ againâ€¦", "We’re late – again…"),
        ("MÃ¼ller trinkt kalten KaffÃ©", "Müller trinkt kalten Kaffé"),
        ("Ã–sterreich und ÃœbermÃ¼tige", "Österreich und Übermütige"),
        ("20 Â°C for Â£3", "20 °C for £3"),
        ("so happy ðŸ˜€!", "so happy 😀!"),
        ("I â\u{9d}¤ it", "I ❤ it"),
        ("ÐŸÑ€Ð¸Ð²ÐµÑ‚", "Привет"),
        ("ä½\u{a0}å¥½", "你好"),
        // Bytes taken for Latin-1.
        ("it\u{e2}\u{80}\u{99}s \u{c3}\u{a9}t\u{c3}\u{a9}", "it’s été"),
        // Decoded twice too often.
        ("CafÃƒÂ©", "Café"),
        // Next to correct text.
        ("“yes”, said ZoÃ«", "“yes”, said Zoë"),
    ]);
}

#[test]
fn what_may_be_meant_stays() {
    for text in [
        "Et voilà\u{a0}» dit-il, « déjà\u{a0}»",
        "LE CAFÉ’S",
        "MANHÃ… vamos",
        "«IRM\u{c3}»",
        "AMANH\u{c3}”, IRM\u{c3}…",
        "à la carte, naïve, Œuvre",
        "São João é Ótimo — “não”…",
        "Ångström’s Æsir",
        "Señor Ñandú",
        "Привет",
        "日本語",
        "❤️ and 👍🏽",
        "I’ll be “fine” – really…",
    ] {
        let (kept, mended) = clean(text);
        assert_eq!((kept.as_ref(), mended), (text, Mended::No));
    }
}

#[test]
fn controls_and_escape_sequences_are_left_out() {
    check(&[
        ("It\u{0} works\u{1b}[1;31m!\u{1b}[0m", "It works!"),
        ("a\u{7}b\u{7f}c", "abc"),
        ("page\u{c}break", "page break"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("\u{1b}", ""),
        ("\u{1b}[", ""),
        ("mid\u{feff}dle", "middle"),
        ("\u{200b}Hi\u{200b}", "Hi"),
    ]);
}

#[test]
fn text_that_cannot_be_seen_is_empty() {
    for text in
        ["\u{200b}\u{feff}", "\u{2060} \u{ad}", "\u{fe0f}", "\u{2800}", "\u{3164}\u{200d}", "\u{0}\u{1}"]
    {
        assert_eq!(clean(text).0, "", "{text:?}");
    }
    assert_eq!(clean("👩\u{200d}🚀").0, "👩\u{200d}🚀");
}

#[test]
fn mending_is_done_once_and_for_all() {
    for text in ["CafÃƒÂ©", "Weâ€™re", "\u{85}a\u{92}\u{1b}[0m", "Â°", "é\u{0}Ã©", "\u{e2}\u{80}\u{0}\u{99}x"]
    {
        let once = clean(text).0.into_owned();
        assert_eq!(clean(&once).0, once, "{text:?}");
    }
}
