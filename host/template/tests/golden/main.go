// The oracle of host/template: what Go's text/template with the functions of sprig makes of the golden cases.
//
//	oracle fill cases/      fills in what Go prints, or how it fails
//	oracle bench cases/     takes times, as it is told on its input
//
// `cargo xtask golden` runs the first, `cargo xtask bench templates` the second.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
)

// A testCase is one template, and what comes of it. Everything up to Bench, and from Ours on, is written by people.
type testCase struct {
	Template   string            `json:"template"`
	Data       json.RawMessage   `json:"data,omitempty"`
	Object     bool              `json:"object,omitempty"`
	Templates  map[string]string `json:"templates,omitempty"`
	Delimiters []string          `json:"delimiters,omitempty"`
	NoValue    bool              `json:"no_value,omitempty"`
	// One of those that are timed.
	Bench  bool    `json:"bench,omitempty"`
	Output *string `json:"output,omitempty"`
	// "parse" or "render", with the line and the words of Go.
	Fails   string `json:"fails,omitempty"`
	Line    int    `json:"line,omitempty"`
	Message string `json:"message,omitempty"`
	// Where a difference is meant: the text of host/template, or how it fails, and why.
	Ours      *string `json:"ours,omitempty"`
	OursFails string  `json:"ours_fails,omitempty"`
	Reason    string  `json:"reason,omitempty"`
}

// Shared is what cases find when they bring no data of their own.
type shared struct {
	Data   json.RawMessage `json:"data"`
	Params json.RawMessage `json:"params"`
}

// whole gives numbers without a fraction the type int, as host/template does.
func whole(value any) any {
	switch value := value.(type) {
	case json.Number:
		if number, err := value.Int64(); err == nil {
			return int(number)
		}
		number, _ := value.Float64()
		return number
	case []any:
		for index, item := range value {
			value[index] = whole(item)
		}
	case map[string]any:
		for key, item := range value {
			value[key] = whole(item)
		}
	}
	return value
}

func decode(text []byte) any {
	var data any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	check(decoder.Decode(&data))
	return whole(data)
}

// functions are those of sprig, less the four that look at the host or its clock.
func functions() template.FuncMap {
	functions := sprig.TxtFuncMap()
	for _, name := range []string{"env", "expandenv", "now", "ago"} {
		delete(functions, name)
	}
	return functions
}

// set makes the set of a case, without its main template.
func (c *testCase) set() *template.Template {
	set := template.New("main").Funcs(functions())
	if !c.NoValue {
		set = set.Option("missingkey=error")
	}
	names := make([]string, 0, len(c.Templates))
	for name := range c.Templates {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		template.Must(set.New(name).Parse(c.Templates[name]))
	}
	if len(c.Delimiters) == 2 {
		set.Delims(c.Delimiters[0], c.Delimiters[1])
	}
	return set
}

func (c *testCase) root(all *shared, set *template.Template) any {
	if c.Object {
		params, _ := decode(all.Params).(map[string]any)
		return newRoot(params, set)
	}
	if c.Data != nil {
		return decode(c.Data)
	}
	return decode(all.Data)
}

func (c *testCase) fill(all *shared) {
	c.Output, c.Fails, c.Line, c.Message = nil, "", 0, ""
	set := c.set()
	main, err := set.Parse(c.Template)
	if err != nil {
		c.fails("parse", err)
		return
	}
	var out strings.Builder
	if err := main.Execute(&out, c.root(all, set)); err != nil {
		c.fails("render", err)
		return
	}
	text := out.String()
	c.Output = &text
}

// fails keeps an error; Go's begin with `template: NAME:LINE`.
func (c *testCase) fails(phase string, err error) {
	c.Fails, c.Message = phase, err.Error()
	parts := strings.SplitN(c.Message, ":", 4)
	if len(parts) > 2 {
		c.Line, _ = strconv.Atoi(strings.TrimSpace(parts[2]))
	}
}

func read(folder string) (all shared, files []string) {
	text, err := os.ReadFile(filepath.Join(folder, "data.json"))
	check(err)
	check(json.Unmarshal(text, &all))
	files, err = filepath.Glob(filepath.Join(folder, "*.json"))
	check(err)
	sort.Strings(files)
	for index, file := range files {
		if filepath.Base(file) == "data.json" {
			files = append(files[:index], files[index+1:]...)
			break
		}
	}
	return all, files
}

func cases(file string) (list []*testCase) {
	text, err := os.ReadFile(file)
	check(err)
	if err := json.Unmarshal(text, &list); err != nil {
		panic(fmt.Errorf("%s: %w", file, err))
	}
	return list
}

func fill(folder string) {
	all, files := read(folder)
	for _, file := range files {
		list := cases(file)
		var out bytes.Buffer
		out.WriteString("[\n")
		for index, one := range list {
			one.fill(&all)
			var line bytes.Buffer
			encoder := json.NewEncoder(&line)
			encoder.SetEscapeHTML(false)
			check(encoder.Encode(one))
			out.Write(bytes.TrimSpace(line.Bytes()))
			if index < len(list)-1 {
				out.WriteString(",")
			}
			out.WriteString("\n")
		}
		out.WriteString("]\n")
		check(os.WriteFile(file, out.Bytes(), 0o644))
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: oracle fill|bench FOLDER")
		os.Exit(2)
	}
	switch os.Args[1] {
	case "fill":
		fill(os.Args[2])
	case "bench":
		bench(os.Args[2])
	default:
		fmt.Fprintf(os.Stderr, "no verb %q\n", os.Args[1])
		os.Exit(2)
	}
}
