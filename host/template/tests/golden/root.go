package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"text/template"
)

// Root models what a template of a provisioning server is given: fields, and methods with arguments. The Rust tests have the
// same one (root.rs); both say little, since what is compared is the way in which templates call them.
type Root struct {
	params  map[string]any
	set     *template.Template
	Machine *Machine
	Env     *Env
	Info    *Info
	Task    any
}

type Machine struct {
	Name    string
	Address string
	Uuid    string
	Arch    string
	Tasks   []any
	Meta    map[string]any
}

type Env struct {
	Name string
	OS   *OS
}

type OS struct {
	Name   string
	Family string
}

type Info struct {
	Id      string
	Version string
}

type Repo struct {
	Tag string
	URL string
}

func newRoot(params map[string]any, set *template.Template) *Root {
	return &Root{
		params: params,
		set:    set,
		Machine: &Machine{
			Name:    "m1.example.com",
			Address: "192.0.2.7",
			Uuid:    "f6a1",
			Arch:    "amd64",
			Tasks:   []any{"a", "b"},
			Meta:    map[string]any{"icon": "server"},
		},
		Env:  &Env{Name: "debian-12-install", OS: &OS{Name: "debian-12", Family: "debian"}},
		Info: &Info{Id: "endpoint-1", Version: "v4.14.0"},
	}
}

func (r *Root) Param(name string) (any, error) {
	if value, ok := r.params[name]; ok {
		return value, nil
	}
	return nil, fmt.Errorf("no such param %q", name)
}

func (r *Root) ParamExists(name string) bool {
	_, ok := r.params[name]
	return ok
}

func (r *Root) ParamAsJSON(name string) (string, error) {
	value, err := r.Param(name)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(value)
	return string(text), err
}

func (r *Root) ComposeParam(name string) (any, error) { return r.Param(name) }

func (r *Root) ParamExpand(name string) (any, error) {
	value, err := r.Param(name)
	if text, ok := value.(string); err == nil && ok {
		return r.RenderTemplate(text)
	}
	return value, err
}

// RenderTemplate renders a text with the root.
func (r *Root) RenderTemplate(text string) (string, error) {
	inner, err := template.New("text").Funcs(functions()).Option("missingkey=error").Parse(text)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = inner.Execute(&out, r)
	return out.String(), err
}

// CallTemplate renders a template of the set.
func (r *Root) CallTemplate(name string, dot any) (string, error) {
	var out strings.Builder
	err := r.set.ExecuteTemplate(&out, name, dot)
	return out.String(), err
}

func (r *Root) ParseUrl(part, text string) (string, error) {
	parsed, err := url.Parse(text)
	if err != nil {
		return "", err
	}
	switch part {
	case "scheme":
		return parsed.Scheme, nil
	case "host":
		return parsed.Host, nil
	case "path":
		return parsed.Path, nil
	}
	return "", errors.New("no such part")
}

func (r *Root) NetmaskToCIDR(mask string) int {
	ones, _ := net.IPMask(net.ParseIP(mask).To4()).Size()
	return ones
}

func (r *Root) ProvisionerURL() string { return "http://192.0.2.1:8091" }

func (r *Root) ApiURL() string { return "https://192.0.2.1:8092" }

func (r *Root) GenerateToken() string { return "token" }

func (r *Root) GenerateProfileToken(profile string, seconds int) string {
	return fmt.Sprintf("%s-%d", profile, seconds)
}

func (r *Root) Repos(tags ...string) []*Repo {
	repos := []*Repo{}
	for _, tag := range tags {
		repos = append(repos, &Repo{Tag: tag, URL: "http://mirror/" + tag})
	}
	return repos
}

func (m *Machine) Path() string { return "machines/" + m.Uuid }

func (m *Machine) Url() string { return "http://192.0.2.1:8091/" + m.Path() }

func (m *Machine) ShortName() string { return strings.Split(m.Name, ".")[0] }

func (m *Machine) HexAddress() string { return "C0000207" }

func (m *Machine) MacAddr(kind ...string) (string, error) {
	switch strings.Join(kind, " ") {
	case "pxelinux":
		return "01-aa-bb-cc-dd-ee-ff", nil
	case "", "ipxe", "grub":
		return "aa:bb:cc:dd:ee:ff", nil
	case "rpi4":
		return "aa-bb-cc-dd-ee-ff", nil
	}
	return "", errors.New("no such format")
}

func (m *Machine) HasProfile(name string) bool { return name == "global" }

func (e *Env) PathFor(proto, file string) (string, error) {
	switch proto {
	case "tftp":
		return e.OS.Name + "/install/" + file, nil
	case "http":
		return "http://192.0.2.1:8091/" + e.OS.Name + "/install/" + file, nil
	}
	return "", fmt.Errorf("no protocol %q", proto)
}

func (e *Env) JoinInitrds(proto string) (string, error) {
	first, err := e.PathFor(proto, "a.img")
	if err != nil {
		return "", err
	}
	second, err := e.PathFor(proto, "b.img")
	return first + " " + second, err
}

func (e *Env) InstallUrl() string { return "http://192.0.2.1:8091/debian-12/install" }

func (o *OS) FamilyName() string { return o.Family }

func (o *OS) VersionEq(version string) bool { return version == "12" }

func (r *Repo) Install() string { return "url --url=" + r.URL }

func (r *Repo) UrlFor(component string) string { return r.URL + "/" + component }
