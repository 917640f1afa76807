//! What the edge answers by itself, in the words of a platform.

use clap::ValueEnum;

/// Whose words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Style {
    /// 503 and nothing else.
    #[default]
    Plain,
    /// 503 of Heroku's router, with the code of the error.
    Heroku,
    /// 52x with `server: cloudflare` and `cf-ray`.
    Cloudflare,
    /// 503 of Google's front end.
    CloudRun,
    /// 503 of API Gateway.
    AwsApiGateway,
    /// 503 of Railway's edge.
    Railway,
}

/// What a connection above the rate is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum AtRate {
    /// 429 with `Retry-After`.
    #[default]
    #[value(name = "429")]
    TooMany,
    /// 503 with `Retry-After`.
    #[value(name = "503")]
    Unavailable,
}

/// Why the edge answers by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// As many connections are open as it lets through.
    Full,
    /// More connections in this second than it lets through.
    Rate(AtRate),
    /// The upstream refused the connection.
    Refused,
    /// The upstream cannot be reached.
    Unreachable,
    /// The upstream did not take the connection in time.
    ConnectTimeout,
    /// The upstream did not answer in time.
    AnswerTimeout,
    /// The upstream ended the connection, or what it said is not HTTP.
    BadAnswer,
    /// The client's request is not HTTP, or too long.
    BadRequest,
}

impl Style {
    /// Header lines by which the platform is known: of its own answers, and of those that it passes on.
    pub const fn marks(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Heroku => "via: 1.1 heroku-router\r\n",
            Self::Cloudflare => "server: cloudflare\r\ncf-ray: 0000000000000000-LAB\r\n",
            Self::CloudRun => {
                "server: Google Frontend\r\nx-cloud-trace-context: 00000000000000000000000000000000/0\r\n"
            }
            Self::AwsApiGateway => "x-amzn-requestid: 00000000-0000-0000-0000-000000000000\r\n",
            Self::Railway => "x-railway-edge: railway/lab\r\n",
        }
    }

    /// The answer, ready to be sent.
    pub fn answer(self, why: Why) -> String {
        let status = self.status(why);
        let phrase = phrase(status);
        let retry = if matches!(why, Why::Rate(_)) { "retry-after: 1\r\n" } else { "" };
        let server = if self == Self::Heroku { "server: heroku-router\r\n" } else { "" };
        let body = match (self, why) {
            (Self::Heroku, Why::Full) => {
                "<html><title>Application error</title><p>code=H11 desc=\"Backlog too deep\"</html>\n".to_owned()
            }
            (Self::Cloudflare, _) => format!("error code: {status}\n"),
            _ => format!("{phrase}\n"),
        };
        let marks = self.marks();
        format!(
            "HTTP/1.1 {status} {phrase}\r\n{server}{marks}{retry}content-type: text/plain\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn status(self, why: Why) -> u16 {
        match (self, why) {
            (_, Why::BadRequest) => 400,
            (_, Why::Rate(AtRate::TooMany)) => 429,
            (Self::Cloudflare, Why::Full | Why::ConnectTimeout) => 522,
            (Self::Cloudflare, Why::Refused) => 521,
            (Self::Cloudflare, Why::Unreachable) => 523,
            (Self::Cloudflare, Why::AnswerTimeout) => 524,
            (Self::Cloudflare, Why::BadAnswer) => 520,
            (_, Why::Full | Why::Rate(AtRate::Unavailable)) | (Self::Heroku, _) => 503,
            (_, Why::ConnectTimeout | Why::AnswerTimeout) => 504,
            (_, Why::Refused | Why::Unreachable | Why::BadAnswer) => 502,
        }
    }
}

/// A redirect to TLS.
pub fn redirect(style: Style, host: &str, path: &str) -> String {
    let marks = style.marks();
    format!(
        "HTTP/1.1 301 Moved Permanently\r\n{marks}location: https://{host}{path}\r\nconnection: close\r\n\
         content-length: 0\r\n\r\n"
    )
}

fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        429 => "Too Many Requests",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        520 => "Web Server Returned an Unknown Error",
        521 => "Web Server Is Down",
        522 => "Connection Timed Out",
        523 => "Origin Is Unreachable",
        _ => "A Timeout Occurred",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_platform_says_it_in_its_own_words() {
        let heroku = Style::Heroku.answer(Why::Full);
        assert!(heroku.starts_with("HTTP/1.1 503 ") && heroku.contains("heroku-router") && heroku.contains("code=H11"));
        let cloudflare = Style::Cloudflare.answer(Why::Refused);
        assert!(cloudflare.starts_with("HTTP/1.1 521 ") && cloudflare.contains("server: cloudflare\r\ncf-ray: "));
        let plain = Style::Plain.answer(Why::Full);
        assert!(plain.starts_with("HTTP/1.1 503 ") && !plain.contains("server:"), "{plain}");
        let rate = Style::AwsApiGateway.answer(Why::Rate(AtRate::TooMany));
        assert!(rate.starts_with("HTTP/1.1 429 ") && rate.contains("retry-after: 1\r\n"));
        assert!(Style::Heroku.answer(Why::AnswerTimeout).starts_with("HTTP/1.1 503 "));
        assert!(Style::Railway.answer(Why::ConnectTimeout).starts_with("HTTP/1.1 504 "));
    }

    #[test]
    fn an_answer_is_as_long_as_it_says() {
        let answer = Style::Heroku.answer(Why::Full);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("content-length: {}", body.len())));
    }

    #[test]
    fn a_redirect_leads_to_the_same_place_with_tls() {
        let answer = redirect(Style::Plain, "shop.example:8080", "/ws?a=b");
        assert!(answer.contains("\r\nlocation: https://shop.example:8080/ws?a=b\r\n"), "{answer}");
    }
}
