package main

import (
	"bufio"
	"fmt"
	"os"
	"text/template"
	"time"

	"bytes"
)

// A timed case is ready to be parsed and rendered again and again.
type timed struct {
	text   string
	parsed *template.Template
	set    *template.Template
	root   any
	out    bytes.Buffer
}

func (t *timed) render(parsed *template.Template) {
	t.out.Reset()
	check(parsed.Execute(&t.out, t.root))
}

// bench reads lines of `render INDEX COUNT` or `both INDEX COUNT`, does so much and answers the nanoseconds that it took,
// so that the one that asks can take turns with it. It begins with the number of its cases. What takes the same time in
// every program that renders, such as naming the functions, is done before.
func bench(folder string) {
	all, files := read(folder)
	var list []*timed
	for _, file := range files {
		for _, one := range cases(file) {
			if one.Bench {
				set := one.set()
				parsed := template.Must(set.New("main").Parse(one.Template))
				list = append(list, &timed{text: one.Template, parsed: parsed, set: set, root: one.root(&all, set)})
			}
		}
	}
	fmt.Println(len(list))
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		var verb string
		var index, count int
		_, err := fmt.Sscan(input.Text(), &verb, &index, &count)
		check(err)
		one := list[index]
		clock := time.Now()
		for range count {
			parsed := one.parsed
			if verb == "both" {
				parsed = template.Must(one.set.New("main").Parse(one.text))
			}
			one.render(parsed)
		}
		fmt.Println(time.Since(clock).Nanoseconds())
	}
}
