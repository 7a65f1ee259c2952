"""What is asked of a page in the browser. Each script gives a list of faults, empty when there is none."""

OVERFLOWING = """
[...document.querySelectorAll('body, body *')]
  .filter(each => !each.closest('thead') || getComputedStyle(each.closest('thead')).position !== 'absolute')
  .filter(each => {
    const box = each.getBoundingClientRect();
    const hides = each.clientWidth && each.scrollWidth > each.clientWidth + 1;
    return box.width && (box.right > innerWidth + 0.5 || box.left < -0.5 || hides);
  })
  .map(each => `${each.tagName} ${each.textContent.trim().slice(0, 60)}`)
  .concat(document.documentElement.scrollWidth > innerWidth ? ['the page itself'] : [])
"""
"""Elements that reach out of the screen or hide part of themselves."""

PALE = """
(() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(each => each / 255)
    .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
    .reduce((sum, each, at) => sum + each * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = element => {
    for (let each = element; each; each = each.parentElement) {
      const colour = numbers(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
      if (colour[3] !== 0) return [NaN, NaN, NaN];  // half transparent: no part of ours is
    }
    return [255, 255, 255];
  };
  const faults = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.getClientRects().length) continue;
    const [a, b] = [light(numbers(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (!(ratio >= 4.5)) faults.push(`${ratio.toFixed(2)} ${element.outerHTML.slice(0, 120)}`);
  }
  return faults;
})()
"""
"""Text that is not clear of what is behind it: less than the 4.5 to 1 of WCAG 2.2, 1.4.3."""

SCRIPTS = """
document.querySelectorAll('script, img, iframe, object, embed, link, form, a, [onerror], [onclick], [style]').length
"""
"""How many elements there are that no page of ours has."""
