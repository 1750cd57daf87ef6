// The list of one's own photos goes on by itself, and the dates beside it follow. Without this script its links do both.
(() => {
	'use strict';

	const most = 20000;
	const form = document.querySelector('.organise');
	const dates = document.querySelector('.dates');
	if (!form || !dates) return;

	// Kept here: to find them among all elements takes the longer the more there are.
	const grids = [form.querySelector('.grid')];
	let photos = grids[0].getElementsByClassName('pick').length;
	const lastMonth = () => [...grids.at(-1).querySelectorAll('time')].at(-1)?.dateTime ?? place.get(grids.at(-1)).month;
	const addressOf = (place, at) => {
		const query = new URLSearchParams(location.search);
		for (const name of ['taken', 'before', 'after', 'notice', 'undo', 'undo-tag']) query.delete(name);
		if (place) query.set(place, at);
		return `${location.pathname}${query.size ? `?${query}` : ''}`;
	};

	// What stands in the last row of a page begins the next one, so that no row ends in the middle. The next one is put
	// into the page afterwards: so nothing is laid out twice.
	const join = (grid, next) => {
		const items = [...grid.children];
		const top = items.at(-1)?.offsetTop;
		const first = items.findIndex((item) => item.offsetTop === top);
		if (first > 0) {
			next.prepend(...items.slice(first));
			grid.classList.add('full');
		}
	};

	// Another width has other rows: a last row of few photos must not grow.
	let width = innerWidth;
	addEventListener('resize', () => {
		if (innerWidth === width) return;
		width = innerWidth;
		for (const grid of grids) grid.classList.remove('full');
	});

	const months = new Map(dates.dataset.months.split(';').map((part) => [part.slice(0, 4), part.slice(5).split(',')]));
	const counted = 'counted' in dates.dataset;
	const monthName = new Intl.DateTimeFormat('en', { month: 'long', timeZone: 'UTC' });
	let shown = '';

	// Has the dates show a month, and the months of its year.
	const show = (month) => {
		if (!month || month === shown) return;
		shown = month;
		const year = month.slice(0, 4);
		for (const link of dates.querySelectorAll('[aria-current]')) link.removeAttribute('aria-current');
		const item = [...dates.firstElementChild.children].find((li) => li.firstElementChild.firstChild.data.trim() === year);
		if (!item) return;
		if (!item.querySelector('ol')) {
			dates.querySelector('ol ol')?.remove();
			const list = document.createElement('ol');
			const counts = months.get(year) ?? [];
			for (let i = counts.length - 1; i >= 0; i--) {
				if (counts[i] === '0') continue;
				const name = `${year}-${String(i + 1).padStart(2, '0')}`;
				const link = document.createElement('a');
				link.href = addressOf('taken', name);
				link.append(monthName.format(new Date(`${name}-01T00:00Z`)));
				if (counted) {
					const small = document.createElement('small');
					small.append(Number(counts[i]).toLocaleString('en'));
					link.append(' ', small);
				}
				const li = document.createElement('li');
				li.append(link);
				list.append(li);
			}
			item.append(list);
		}
		const link = [...item.querySelectorAll('ol a')].find((a) => a.search.includes(`taken=${month}`));
		link?.setAttribute('aria-current', 'true');
		const box = dates.getBoundingClientRect();
		const at = (link ?? item).getBoundingClientRect();
		dates.scrollBy(at.left - box.left - box.width / 3, at.top - box.top - box.height / 3);
	};

	// The address follows, too, so that a reload and the way back lead to what was seen.
	const [first] = grids;
	const place = new Map([[first, { address: location.pathname + location.search }]]);
	const follow = () => {
		let seen = first;
		for (const grid of grids) {
			if (grid.getBoundingClientRect().top > innerHeight / 5) break;
			seen = grid;
		}
		const { address, month } = place.get(seen);
		show(seen.querySelector('time')?.dateTime ?? month);
		if (address !== location.pathname + location.search) history.replaceState(history.state, '', address);
	};
	let waits = 0;
	addEventListener('scroll', () => {
		waits ||= setTimeout(() => {
			waits = 0;
			follow();
		}, 200);
	}, { passive: true });

	let busy = false;
	const more = async () => {
		const pager = document.querySelector('.pager');
		const next = pager?.querySelector('[rel=next]');
		if (busy || !next || photos >= most) return;
		busy = true;
		pager.setAttribute('aria-busy', 'true');
		try {
			const address = next.pathname + next.search;
			const answer = await fetch(`${address}&part=list`);
			if (!answer.ok || answer.redirected) throw Error(answer.status);
			const part = new DOMParser().parseFromString(await answer.text(), 'text/html');
			const grid = part.querySelector('.grid');
			await new Promise((done) => { setTimeout(done); }); // frames may come between the steps
			if (grid.children.length) {
				const last = grids.at(-1);
				const month = lastMonth();
				const heading = grid.querySelector('h2');
				if (heading?.firstElementChild.dateTime === month) heading.remove();
				photos += grid.getElementsByClassName('pick').length;
				document.adoptNode(grid);
				join(last, grid);
				last.after(grid);
				grids.push(grid);
				place.set(grid, { address, month });
			}
			pager.replaceWith(part.querySelector('.pager') ?? '');
			near.disconnect();
			watch();
		} catch {
			pager.removeAttribute('aria-busy');
			addEventListener('scroll', more, { once: true }); // the link is still there, too
		}
		busy = false;
	};
	const near = new IntersectionObserver((entries) => {
		if (entries.some((entry) => entry.isIntersecting)) more();
	}, { rootMargin: '0px 0px 2000px 0px' });
	const watch = () => {
		const pager = document.querySelector('.pager');
		if (pager) near.observe(pager);
	};
	watch();
	follow();
})();
