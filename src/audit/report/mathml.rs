//! [`mathml`]: a formula as MathML, so that a browser sets it without a script.
//!
//! The formulas of [`EQUATIONS`](crate::audit::EQUATIONS) are lines of text: `_` lowers and `^` raises the next sign, or what
//! stands between braces. A letter is a variable, with the marks above it; words are text; digits are a number; all else is
//! an operator.

pub(super) use crate::plot::escape;

/// What may have a word for a name without being text.
const FUNCTIONS: [&str; 8] = ["log", "exp", "Cov", "tr", "net", "snr", "gauss", "model"];

/// The formula as one `math` element.
pub(super) fn mathml(formula: &str) -> String {
    let signs: Vec<char> = formula.chars().collect();
    let mut rest = signs.as_slice();
    format!("<math>{}</math>", row(&mut rest))
}

/// Signs up to a closing brace or the end.
fn row(rest: &mut &[char]) -> String {
    let mut out = String::new();
    while let Some(&sign) = rest.first() {
        if sign == '}' {
            *rest = &rest[1..];
            break;
        }
        if sign == ' ' {
            *rest = &rest[1..];
            continue;
        }
        let base = atom(rest);
        let (mut lower, mut upper) = (None, None);
        while let Some(&mark) = rest.first().filter(|mark| matches!(mark, '_' | '^')) {
            *rest = &rest[1..];
            let moved = Some(atom(rest));
            if mark == '_' { lower = moved } else { upper = moved }
        }
        out += &match (lower, upper) {
            (None, None) => base,
            (Some(lower), None) => format!("<msub>{base}{lower}</msub>"),
            (None, Some(upper)) => format!("<msup>{base}{upper}</msup>"),
            (Some(lower), Some(upper)) => format!("<msubsup>{base}{lower}{upper}</msubsup>"),
        };
    }
    out
}

/// One sign with the marks above it, a word, a number, or a group in braces.
fn atom(rest: &mut &[char]) -> String {
    let Some((&first, after)) = rest.split_first() else {
        return "<mrow></mrow>".into();
    };
    if first == '{' {
        *rest = after;
        return format!("<mrow>{}</mrow>", row(rest));
    }
    if first.is_ascii_digit() {
        return format!("<mn>{}</mn>", take(rest, |sign| sign.is_ascii_digit() || sign == '.'));
    }
    if !first.is_alphabetic() {
        *rest = after;
        // Brackets as high as a line: there are no fractions to hold.
        let fixed = if "()[]|".contains(first) { " stretchy=\"false\"" } else { "" };
        return format!("<mo{fixed}>{}</mo>", escape(&first.to_string()));
    }
    let letters = rest.iter().take_while(|sign| sign.is_ascii_alphabetic()).count();
    let word: String = rest[..letters].iter().collect();
    if letters < 2 {
        *rest = after;
        let above = take(rest, is_mark_above);
        return format!("<mi>{first}{above}</mi>");
    }
    if FUNCTIONS.contains(&word.as_str()) {
        *rest = &rest[letters..];
        return format!("<mi>{word}</mi>");
    }
    if letters == 2 && first == 'd' {
        *rest = &rest[2..];
        let of: String = word.chars().skip(1).collect();
        return format!("<mrow><mi>d</mi><mi>{of}</mi></mrow>");
    }
    if word.chars().all(char::is_uppercase) {
        *rest = &rest[letters..];
        return format!("<mi>{word}</mi>");
    }
    // Words up to the next sign that is none.
    let text = take(rest, |sign| sign.is_ascii_alphabetic() || sign == ' ');
    format!("<mtext>\u{a0}{}\u{a0}</mtext>", text.trim_end())
}

fn take(rest: &mut &[char], good: impl Fn(char) -> bool) -> String {
    let n = rest.iter().take_while(|&&sign| good(sign)).count();
    let (taken, left) = rest.split_at(n);
    *rest = left;
    taken.iter().collect()
}

/// Dots and hats are signs of their own that stand after their letter.
fn is_mark_above(sign: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&sign)
}

#[cfg(test)]
mod tests {
    use super::super::super::EQUATIONS;
    use super::*;

    #[test]
    fn signs_are_raised_and_lowered() {
        assert_eq!(mathml("x_1"), "<math><msub><mi>x</mi><mn>1</mn></msub></math>");
        assert_eq!(
            mathml("C_t^{1/2} x"),
            "<math><msubsup><mi>C</mi><mi>t</mi><mrow><mn>1</mn><mo>/</mo><mn>2</mn></mrow></msubsup><mi>x</mi></math>"
        );
        assert_eq!(mathml("u^T_t"), "<math><msubsup><mi>u</mi><mi>t</mi><mi>T</mi></msubsup></math>");
    }

    #[test]
    fn words_are_told_from_variables() {
        assert_eq!(
            mathml("log p dt"),
            "<math><mi>log</mi><mi>p</mi><mrow><mi>d</mi><mi>t</mi></mrow></math>"
        );
        assert_eq!(mathml("error of h"), "<math><mtext>\u{a0}error of h\u{a0}</mtext></math>");
        assert_eq!(mathml("α̇ < 1"), "<math><mi>α̇</mi><mo>&lt;</mo><mn>1</mn></math>");
    }

    #[test]
    fn every_equation_is_well_formed() {
        for equation in &EQUATIONS {
            let text = mathml(equation.formula);
            let mut open = Vec::new();
            for tag in text.split('<').skip(1) {
                let name = tag.split(['>', ' ']).next().unwrap();
                match name.strip_prefix('/') {
                    Some(name) => assert_eq!(open.pop(), Some(name), "{text}"),
                    None => open.push(name),
                }
            }
            assert!(open.is_empty(), "{text}");
            // Two or three children, as each element wants.
            assert!(!text.contains("<msub></msub>") && !text.contains("<mrow></mrow>"), "{text}");
        }
    }
}
