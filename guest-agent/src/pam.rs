//! What a login or logout means, as `pam_exec.so` tells it through the environment.

use crate::{
    slices::{same, split_once},
    strings::Strings,
};

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Session<'a> {
    /// A session of this user has begun.
    Opened(&'a [u8]),
    /// A session has ended.
    Closed,
    /// Nothing: another step of PAM's, or a user that is not to be recorded.
    Ignored,
}

/// Reads `PAM_TYPE` and `PAM_USER`; `users` is a list with commas, or empty for all.
pub(crate) fn session<'a>(env: &Strings<'a>, users: &[u8]) -> Session<'a> {
    let user = env.variable(b"PAM_USER");
    if user.is_empty() || !(users.is_empty() || lists(users, user)) {
        return Session::Ignored;
    }
    let step = env.variable(b"PAM_TYPE");
    if same(step, b"open_session") {
        Session::Opened(user)
    } else if same(step, b"close_session") {
        Session::Closed
    } else {
        Session::Ignored
    }
}

fn lists(users: &[u8], user: &[u8]) -> bool {
    let (listed, rest) = split_once(users, b',');
    same(listed, user) || rest.is_some_and(|rest| lists(rest, user))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Text;
    use std::ffi::CString;

    fn decided(variables: &[&str], users: &str) -> String {
        let env: Vec<CString> = variables.iter().map(|v| CString::new(*v).expect("no NUL")).collect();
        let env: Vec<Option<Text>> = env.iter().map(|v| Some(v.as_c_str().into())).chain([None]).collect();
        match session(&Strings::new(&env).expect("it ends"), users.as_bytes()) {
            Session::Opened(user) => format!("opened {}", String::from_utf8_lossy(user)),
            Session::Closed => "closed".into(),
            Session::Ignored => "ignored".into(),
        }
    }

    #[test]
    fn only_listed_users_are_recorded() {
        let ann = ["PAM_TYPE=open_session", "PAM_USER=ann"];
        assert_eq!(decided(&ann, ""), "opened ann");
        assert_eq!(decided(&ann, "ann"), "opened ann");
        assert_eq!(decided(&ann, "bob,ann"), "opened ann");
        assert_eq!(decided(&ann, "bob"), "ignored");
        assert_eq!(decided(&ann, "anna,an"), "ignored");
    }

    #[test]
    fn only_the_begin_and_the_end_of_a_session_count() {
        assert_eq!(decided(&["PAM_USER=ann", "PAM_TYPE=close_session"], ""), "closed");
        for other in ["auth", "account", "password", ""] {
            assert_eq!(decided(&["PAM_USER=ann", &format!("PAM_TYPE={other}")], ""), "ignored");
        }
    }

    #[test]
    fn what_a_user_put_into_the_environment_is_not_taken_for_pams() {
        let users = ["PAM_TYPE=auth", "PAM_USER=root", "PAM_USER="];
        let pams = ["PAM_SERVICE=sshd", "PAM_USER=ann", "PAM_TYPE=open_session"];
        let both = [&users[..], &pams].concat();
        assert_eq!(decided(&both, "ann"), "opened ann");
        assert_eq!(decided(&both, "root"), "ignored");
        let closing = [&["PAM_TYPE=open_session"][..], &pams[..2], &["PAM_TYPE=close_session"]].concat();
        assert_eq!(decided(&closing, ""), "closed");
    }

    #[test]
    fn without_pams_variables_nothing_is_done() {
        assert_eq!(decided(&[], ""), "ignored");
        assert_eq!(decided(&["PAM_USER=ann"], ""), "ignored");
        assert_eq!(decided(&["PAM_TYPE=open_session"], ""), "ignored");
        assert_eq!(decided(&["PAM_TYPE=open_session", "PAM_USER="], ""), "ignored");
    }
}
