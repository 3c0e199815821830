// Prints what Go says about proxies, as JSON: see README.md.
package main

import (
	"encoding/json"
	"net/url"
	"os"

	"golang.org/x/net/http/httpproxy"
)

type answers struct {
	Env map[string]string `json:"env"`
	// The proxy by URL: "" is none, null is an error.
	Proxies map[string]*string `json:"proxies"`
}

func main() {
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	ask := func(env map[string]string, urls ...string) {
		for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY",
			"all_proxy", "NO_PROXY", "no_proxy", "REQUEST_METHOD"} {
			os.Unsetenv(name)
		}
		for name, value := range env {
			os.Setenv(name, value)
		}
		choose := httpproxy.FromEnvironment().ProxyFunc()
		found := answers{Env: env, Proxies: map[string]*string{}}
		for _, raw := range urls {
			target, err := url.Parse(raw)
			if err != nil {
				panic(err)
			}
			proxy, err := choose(target)
			shown := ""
			if proxy != nil {
				shown = proxy.String()
			}
			found.Proxies[raw] = &shown
			if err != nil {
				found.Proxies[raw] = nil
			}
		}
		if err := out.Encode(found); err != nil {
			panic(err)
		}
	}

	both := []string{"https://api.corp.example:6443", "http://api.corp.example:8080"}
	for _, env := range []map[string]string{
		{},
		{"HTTPS_PROXY": "http://p:1"},
		{"https_proxy": "http://p:1"},
		{"HTTPS_PROXY": "http://upper:1", "https_proxy": "http://lower:1"},
		{"HTTPS_PROXY": "", "https_proxy": "http://lower:1"},
		{"HTTP_PROXY": "http://p:1"},
		{"http_proxy": "http://p:1"},
		{"ALL_PROXY": "http://p:1", "all_proxy": "http://p:1"},
		{"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "http://q:1", "REQUEST_METHOD": "GET"},
		{"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": ""},
		{"http_proxy": "http://p:1", "REQUEST_METHOD": "POST"},
		{"HTTP_PROXY": "http://p:1", "NO_PROXY": "*", "REQUEST_METHOD": "GET"},
	} {
		ask(env, both...)
	}
	for _, proxy := range []string{
		"p", "p:3128", "10.0.0.9:3128", "[fd00::9]:3128", "http://p", "https://p:8443", "socks5://p:1080", "socks5h://p",
		"http://ada:pw@p:3128", "ada:pw@p:3128", "http://p:3128/", "HTTP://P:3128", "p.example", "p.example/",
		"http://ada@p:3128", "http://a%40b:p%3Aw@p:1",
	} {
		ask(map[string]string{"HTTPS_PROXY": proxy}, both[0])
	}
	hosts := []string{
		"https://api.corp.example:6443", "https://corp.example:6443", "https://corp.example", "https://notcorp.example:6443",
		"https://API.Corp.Example:6443", "https://10.1.2.3:6443", "https://10.1.2.3", "https://11.1.2.3:6443",
		"https://[fd00::12]:6443", "https://[fd01::12]:6443", "https://[::ffff:10.1.2.3]:6443", "https://[fe80::1%25eth0]:6443",
		"https://bücher.example:6443", "https://xn--bcher-kva.example:6443", "https://example:6443", "https://corp.example.:6443",
	}
	for _, no := range []string{
		"", "*", " * ", "corp.example,*", "*,corp.example", "**", "corp.example", ".corp.example", "*.corp.example",
		"*corp.example", "api.corp.example", "CORP.EXAMPLE", " corp.example ", "corp.example,", ",,corp.example", "a b,corp.example",
		"corp.example:6443", ".corp.example:6443", "*.corp.example:6443", "corp.example:443", "corp.example:", ":6443",
		"corp.example:x", "example", ".example", ".", "*.", "corp", "corp.example.", "http://corp.example",
		"10.1.2.3", "10.1.2.3:6443", "10.1.2.3:443", "10.1.2.3:", "010.1.2.3", "10.1.2", "10.", "10.1.2.3/32", "10.0.0.0/8",
		"10.9.9.9/8", "10.0.0.0/255.0.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/8:6443", "0.0.0.0/0",
		"fd00::12", "[fd00::12]", "[fd00::12]:6443", "[fd00::12]:443", "FD00::12", "fd00::/16", "fd00::/16,10.0.0.0/8", "::/0",
		"[fd00::]/16", "::ffff:10.1.2.3", "::ffff:10.0.0.0/104", "::ffff:0:0/96", "::ffff:0:0/80", "fe80::1", "fe80::1%eth0",
		"fe80::/10", "fe80::%eth0/10", "bücher.example", "xn--bcher-kva.example", ".bücher.example", "BÜCHER.example",
		"*.*.example", "api.*.example", "corp.example 10.1.2.3", "corp.example;10.1.2.3", "corp.example:6443:1",
	} {
		ask(map[string]string{"HTTPS_PROXY": "http://p:1", "NO_PROXY": no}, hosts...)
	}
	ask(map[string]string{"HTTPS_PROXY": "http://p:1", "no_proxy": "corp.example"}, hosts[0])
	ask(map[string]string{"HTTPS_PROXY": "http://p:1", "NO_PROXY": "other", "no_proxy": "corp.example"}, hosts[0])
	ask(map[string]string{"HTTPS_PROXY": "http://p:1", "NO_PROXY": "", "no_proxy": "corp.example"}, hosts[0])
	ask(map[string]string{"HTTP_PROXY": "http://p:1", "NO_PROXY": "corp.example:80"},
		"http://corp.example", "http://corp.example:80", "http://corp.example:8080")
	ask(map[string]string{"HTTPS_PROXY": "http://p:1"},
		"https://localhost:6443", "https://LOCALHOST:6443", "https://a.localhost:6443", "https://127.0.0.1:6443",
		"https://127.9.9.9", "https://127.1:6443", "https://[::1]:6443", "https://[::ffff:127.0.0.1]:6443", "https://0.0.0.0:6443",
		"https://localhost.:6443", "https://localhost.localdomain")
}
