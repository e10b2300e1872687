// SPDX-License-Identifier: MIT

// Prints src/format/printable.def:
//
//	go run tools/printable.go > src/format/printable.def
package main

import (
	"fmt"
	"strconv"
	"unicode"
)

func main() {
	fmt.Println("/* SPDX-License-Identifier: MIT */")
	fmt.Println("/*")
	fmt.Println(" * What Go's strconv.Quote leaves as it is: R(first, last), ascending.")
	fmt.Printf(" * Made by tools/printable.go, Unicode %s.\n", unicode.Version)
	fmt.Println(" */")
	first, column := rune(-1), 0
	for r := rune(0); r <= unicode.MaxRune+1; r++ {
		printable := r <= unicode.MaxRune && strconv.IsPrint(r)
		if printable && first < 0 {
			first = r
		}
		if printable || first < 0 {
			continue
		}
		text := fmt.Sprintf("R(0x%x, 0x%x)", first, r-1)
		if column > 0 && column+1+len(text) > 100 {
			fmt.Println()
			column = 0
		}
		if column > 0 {
			fmt.Print(" ")
			column++
		}
		fmt.Print(text)
		column += len(text)
		first = -1
	}
	fmt.Println()
}
