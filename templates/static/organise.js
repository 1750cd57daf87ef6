// One's own photos: choosing many at once, and completing tags. All of it works without this script, one by one.
(() => {
	'use strict';

	// Links are copied by a button.
	for (const link of document.querySelectorAll('.link')) {
		const copy = document.createElement('button');
		copy.type = 'button';
		copy.textContent = 'Copy';
		copy.addEventListener('click', async () => {
			link.select();
			await navigator.clipboard?.writeText(link.value);
			copy.textContent = 'Copied';
		});
		link.after(copy);
	}

	const form = document.querySelector('.organise');
	const boxes = () => [...form.querySelectorAll('.pick')]; // more may come while one scrolls
	if (form?.querySelector('.pick')) {
		const said = document.createElement('span');
		said.role = 'status';
		const all = document.createElement('button');
		all.type = 'button';
		form.querySelector('.tools').append(said, all);

		const tell = () => {
			const n = form.querySelectorAll('.pick:checked').length;
			said.textContent = n ? `${n} chosen` : '';
			all.textContent = form.querySelector('.pick:not(:checked)') ? 'Choose all' : 'Choose none';
		};
		all.addEventListener('click', () => {
			const checked = boxes().some((box) => !box.checked);
			for (const box of boxes()) box.checked = checked;
			tell();
		});

		// With Shift, all from the box that was pressed last take the state of this one.
		let last;
		form.addEventListener('click', ({ target, shiftKey }) => {
			if (!target.matches('.pick')) return;
			if (shiftKey && last) {
				const [from, to] = [boxes().indexOf(last), boxes().indexOf(target)].sort((a, b) => a - b);
				for (const box of boxes().slice(from, to + 1)) box.checked = target.checked;
			}
			last = target;
			tell();
		});

		// A browser that goes back to the page restores what was chosen.
		addEventListener('pageshow', tell);
		tell();
	}

	// A list of suggestions completes the whole field, so each begins with the tags that are there.
	const tags = document.querySelector('#tags');
	const options = tags?.list ? [...tags.list.options] : [];
	const own = options.map((option) => option.value);
	tags?.addEventListener('input', () => {
		const before = tags.value.replace(/[^,]*$/, '');
		options.forEach((option, i) => { option.value = before ? `${before} ${own[i]}` : own[i]; });
	});
})();
