// Fills the expected results of golden.json with what Go prints.
//
// Run it in this folder with the sprig library at hand: go run . ../golden.json
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
)

type testCase struct {
	Template   string            `json:"template"`
	Object     bool              `json:"object,omitempty"`
	Templates  map[string]string `json:"templates,omitempty"`
	Delimiters []string          `json:"delimiters,omitempty"`
	NoValue    bool              `json:"no_value,omitempty"`
	Output     *string           `json:"output,omitempty"`
	ParseError string            `json:"parse_error,omitempty"`
	Error      string            `json:"error,omitempty"`
	Ours       *string           `json:"ours,omitempty"`
	OursError  string            `json:"ours_error,omitempty"`
	Reason     string            `json:"reason,omitempty"`
}

type golden struct {
	Data   json.RawMessage `json:"data"`
	Params json.RawMessage `json:"params"`
	Cases  []*testCase     `json:"cases"`
}

// Root is the object that the Rust tests have as well.
type Root struct {
	params  map[string]interface{}
	Machine *Machine
}

type Machine struct {
	Name    string
	Address string
	Tasks   []interface{}
}

func (r *Root) Param(name string) (interface{}, error) {
	if value, ok := r.params[name]; ok {
		return value, nil
	}
	return nil, fmt.Errorf("no such param %q", name)
}

func (r *Root) ParamExists(name string) bool {
	_, ok := r.params[name]
	return ok
}

func (r *Root) ProvisionerURL() string { return "http://192.0.2.1:8091" }

func (m *Machine) Path() string { return "machines/" + m.Name }

func (m *Machine) MacAddr(kind string) (string, error) {
	switch kind {
	case "pxelinux":
		return "01-aa-bb-cc-dd-ee-ff", nil
	case "ipxe":
		return "aa:bb:cc:dd:ee:ff", nil
	}
	return "", errors.New("no such format")
}

// whole gives numbers without a fraction the type int.
func whole(value interface{}) interface{} {
	switch value := value.(type) {
	case json.Number:
		if number, err := value.Int64(); err == nil {
			return int(number)
		}
		number, _ := value.Float64()
		return number
	case []interface{}:
		for index, item := range value {
			value[index] = whole(item)
		}
	case map[string]interface{}:
		for key, item := range value {
			value[key] = whole(item)
		}
	}
	return value
}

func decode(text []byte) interface{} {
	var data interface{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	check(decoder.Decode(&data))
	return whole(data)
}

func (c *testCase) run(all *golden) {
	c.Output, c.ParseError, c.Error = nil, "", ""
	data := decode(all.Data)
	if c.Object {
		params, _ := decode(all.Params).(map[string]interface{})
		machine := &Machine{Name: "m1", Address: "192.0.2.7", Tasks: []interface{}{"a", "b"}}
		data = &Root{params: params, Machine: machine}
	}
	functions := sprig.TxtFuncMap()
	for _, name := range []string{"env", "expandenv", "now", "ago"} {
		delete(functions, name)
	}
	set := template.New("main").Funcs(functions)
	if !c.NoValue {
		set = set.Option("missingkey=error")
	}
	for name, text := range c.Templates {
		template.Must(set.New(name).Parse(text))
	}
	if len(c.Delimiters) == 2 {
		set.Delims(c.Delimiters[0], c.Delimiters[1])
	}
	if _, err := set.Parse(c.Template); err != nil {
		c.ParseError = err.Error()
		return
	}
	var out strings.Builder
	if err := set.Execute(&out, data); err != nil {
		c.Error = err.Error()
		return
	}
	text := out.String()
	c.Output = &text
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	check(err)
	var all golden
	check(json.Unmarshal(text, &all))
	var out bytes.Buffer
	fmt.Fprintf(&out, "{\n\"data\": %s,\n\"params\": %s,\n\"cases\": [\n", all.Data, all.Params)
	for index, one := range all.Cases {
		one.run(&all)
		var line bytes.Buffer
		encoder := json.NewEncoder(&line)
		encoder.SetEscapeHTML(false)
		check(encoder.Encode(one))
		out.Write(bytes.TrimSpace(line.Bytes()))
		if index < len(all.Cases)-1 {
			out.WriteString(",")
		}
		out.WriteString("\n")
	}
	out.WriteString("]\n}\n")
	check(os.WriteFile(os.Args[1], out.Bytes(), 0o644))
}
